"""What a manager may do and an auditor may look at. Whatever belongs to another's study does not exist."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from annotate.members.queries import may_make_studies
from annotate.models.choices import Role
from annotate.models.studies import Study
from annotate.models.study_queries import StudyQuerySet


def for_makers(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view for whoever may make studies; for others 403."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not may_make_studies(request.user):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def managed_study(request: HttpRequest, slug: str) -> Study:
    """The study with this short name if the user owns or manages it, or may look at it and only asks; else 404.

    An auditor's page is marked, so that the templates close their forms.
    """
    study = get_object_or_404(managed_studies(request).annotate(own_role=F("memberships__role")), slug=slug)
    request.read_only = study.own_role == Role.AUDITOR  # type: ignore[attr-defined]
    return study


def managed_studies(request: HttpRequest) -> StudyQuerySet:
    """The studies whose managers' pages this request may open. An auditor's POST finds none."""
    if request.method in ("GET", "HEAD"):
        return Study.objects.readable_by(request.user)
    return Study.objects.managed_by(request.user)
