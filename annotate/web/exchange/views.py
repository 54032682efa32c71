"""Exports by the browser, streamed."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotate.exchange.exporters.export_form import ExportForm
from annotate.exchange.exporters.export_response import streamed
from annotate.web.access import managed_study
from core.errors import PalateError


@require_safe
def choose(request: HttpRequest, slug: str) -> HttpResponse:
    """Where the export form leads: on to the address of that export, which can be kept and called again."""
    managed_study(request, slug)
    form = ExportForm(request.GET)
    if not form.is_valid():
        return _refused(form)
    address = reverse("export", args=[slug, form.cleaned_data["format"], form.cleaned_data["file_type"]])
    kept = request.GET.copy()
    for name in ("format", "file_type"):
        kept.pop(name, None)
    return redirect(f"{address}?{kept.urlencode()}")


@require_safe
def export(request: HttpRequest, slug: str, form: str, file_type: str) -> HttpResponseBase:
    study = managed_study(request, slug)
    asked = ExportForm({**request.GET.dict(), "format": form, "file_type": file_type})
    if not asked.is_valid():
        return _refused(asked)
    try:
        return streamed(study, asked, request.user)
    except PalateError as error:
        return HttpResponse(f"{error}\n", status=422, content_type="text/plain; charset=utf-8")


def _refused(form: ExportForm) -> HttpResponse:
    words = "\n".join(f"{name}: {error}" for name, errors in form.errors.items() for error in errors)
    return HttpResponse(words + "\n", status=400, content_type="text/plain; charset=utf-8")
