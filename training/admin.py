"""Runs and models on the operators' site."""

from django.contrib import admin

from core.read_only_admin import ReadOnlyAdmin
from training.models import ModelVersion, Run


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "study", "state", "created_by", "created_at", "ended_at")
    list_filter = ("state", "kind")
    list_select_related = ("study", "created_by")
    search_fields = ("study__slug", "created_by__username")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "kind", "study", "created_at", "promoted_at")
    list_filter = ("kind",)
    list_select_related = ("study",)
    search_fields = ("name", "study__slug")
    exclude = ("report", "card")
