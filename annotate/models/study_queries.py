"""Reads of studies, as words on the queryset."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

from annotate.models.choices import MANAGING_ROLES, READING_ROLES


class StudyQuerySet(models.QuerySet[Any]):
    def of_member(self, user: AbstractBaseUser | AnonymousUser) -> "StudyQuerySet":
        """Studies that the user belongs to, whatever the role."""
        return self.filter(memberships__user_id=user.pk, memberships__active=True)

    def readable_by(self, user: AbstractBaseUser | AnonymousUser) -> "StudyQuerySet":
        """Studies whose managers' pages the user may open: as owner or manager, or as auditor to look only."""
        return self.filter(memberships__user_id=user.pk, memberships__active=True, memberships__role__in=READING_ROLES)

    def managed_by(self, user: AbstractBaseUser | AnonymousUser) -> "StudyQuerySet":
        """Studies that the user owns or manages."""
        return self.filter(memberships__user_id=user.pk, memberships__active=True, memberships__role__in=MANAGING_ROLES)
