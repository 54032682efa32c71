"""Accounts, studies, members, tokens and the log on the operators' site."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from annotate.audit.operations import record
from annotate.models.accounts import User
from annotate.models.api import ApiToken
from annotate.models.audit import Action, Entry
from annotate.models.members import Membership
from annotate.models.studies import Study
from core.read_only_admin import ReadOnlyAdmin


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """An operator may block an account and unblock it. Passwords and roles are changed where they are audited."""

    list_display = ("username", "is_active", "is_superuser", "last_login", "date_joined")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("username", "email")
    fields = ("username", "email", "is_active", "is_superuser", "last_login", "date_joined")
    editable = ("is_active",)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody blocks their own account by mistake."""
        return obj != request.user and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        details = {"account": obj.username, "active": obj.is_active}
        record(study=None, user=request.user, action=Action.CHANGED, subject="account", **details)


@admin.register(Study)
class StudyAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "method", "active", "created_at", "closed_at")
    list_filter = ("active", "method")
    search_fields = ("slug", "name")


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "study", "role", "kind", "status", "active", "created_at")
    list_filter = ("role", "kind", "status", "active")
    list_select_related = ("study", "user")
    search_fields = ("study__slug", "user__username")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "start", "user", "scopes", "expires_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    exclude = ("digest",)


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "action", "subject", "study")
    list_filter = ("action",)
    list_select_related = ("study",)
    search_fields = ("actor", "subject", "study__slug")
