"""The page of a study's log."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from annotate.members.access import managed_study


@require_safe
def audit(request: HttpRequest, slug: str) -> HttpResponse:
    """Who exported, imported, changed, trained and promoted what, newest first."""
    study = managed_study(request, slug)
    page = Paginator(study.audit.all(), 100).get_page(request.GET.get("page"))
    return render(request, "manage/audit.html", {"study": study, "tab": "audit", "page": page})
