"""Exports by the browser, streamed."""

from itertools import chain
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from annotate.audit.models import Action
from annotate.audit.operations import record
from annotate.errors import PalateError
from annotate.exchange import exports
from annotate.exchange.dataset_folder import Folder, zipped
from annotate.exchange.forms import ExportForm
from annotate.exchange.tables import CONTENT_TYPES, FILE_TYPES
from annotate.members.access import managed_study
from annotate.studies.models import Study


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


def streamed(study: Study, form: ExportForm, user: Any) -> HttpResponseBase:
    """The export that a valid form asks for, on record. Raises PalateError when there is nothing to export."""
    what, file_type = form.cleaned_data["format"], form.cleaned_data["file_type"]
    name = f"{study.slug}-{what}"
    if file_type == "zip":
        content = zipped(Folder(study, what, policy=form.policy(), style=form.style()), name)
    else:
        table = exports.table(study, what, split=form.split_asked(), policy=form.policy(), style=form.style())
        content = FILE_TYPES[file_type](table)
    asked = {field: value for field, value in form.cleaned_data.items() if value not in (None, "")}
    record(study=study, user=user, action=Action.EXPORTED, subject=f"{what}.{file_type}", **asked)
    # The first bytes are fetched before the answer begins, so that what goes wrong there can still be told.
    first = next(content, b"")
    return StreamingHttpResponse(
        chain([first], content),
        content_type=CONTENT_TYPES[file_type],
        headers={"Content-Disposition": f'attachment; filename="{name}.{file_type}"'},
    )


def _refused(form: ExportForm) -> HttpResponse:
    words = "\n".join(f"{name}: {error}" for name, errors in form.errors.items() for error in errors)
    return HttpResponse(words + "\n", status=400, content_type="text/plain; charset=utf-8")
