"""The page of imports and exports; uploads become runs."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from annotate.exchange.exporters.export_form import ExportForm
from annotate.exchange.formats.registry import SHAPES
from annotate.exchange.importers.stored_uploads import check_room, new_upload, upload_allowance
from annotate.models.studies import Study
from annotate.web.access import managed_study
from core.errors import PalateError
from core.request_bodies import takes_upload
from training.models import RunKind
from training.runs import operations


class PromptsForm(forms.Form):
    file = forms.FileField(
        label=_("Prompts"), help_text=_("CSV or JSON lines with a column “text” or “prompt”, plain or .gz")
    )
    group_by = forms.CharField(
        label=_("Group column"), required=False, help_text=_("Prompts of one group are never split apart.")
    )


class PreferencesForm(forms.Form):
    file = forms.FileField(label=_("File"), help_text=_("CSV, JSON lines, JSON or Parquet; text files plain or .gz"))
    shape = forms.ChoiceField(
        label=_("What the rows are"), choices=[("", _("see from the first row")), *SHAPES.items()], required=False
    )
    mapping = forms.CharField(
        label=_("Columns"),
        required=False,
        help_text=_("Palate's fields with the file's columns: prompt=question, response_a=first, winner=preference"),
    )
    ignore = forms.CharField(label=_("Columns to leave out"), required=False, help_text=_("With commas between them."))
    scale = forms.CharField(
        label=_("Ranges of scores"), required=False, help_text=_("Of criteria that the study lacks: fluency:1:5")
    )
    prompt_field = forms.CharField(label=_("Field of the prompt"), required=False)
    response_fields = forms.CharField(
        label=_("Fields of the responses"),
        required=False,
        help_text=_("With commas between them, the left one first. Only for Label Studio and Argilla."),
    )
    dry_run = forms.BooleanField(label=_("Only try: say what would be added and what is wrong"), required=False)
    skip_bad = forms.BooleanField(label=_("Leave out invalid rows"), required=False)
    make_tasks = forms.BooleanField(label=_("Make tasks of responses that nobody judged"), required=False)


class JudgementsForm(forms.Form):
    prompts = forms.FileField(label=_("Prompts"), help_text=_("JSON lines: prompt_id, text, group"))
    responses = forms.FileField(label=_("Responses"), help_text=_("JSON lines: response_id, prompt_id, text, author"))
    judgements = forms.FileField(
        label=_("Judgements"), help_text=_("JSON lines: prompt_id, shown, ranks and/or scores, rater")
    )
    group_by = forms.CharField(label=_("Group field"), required=False)


def exchange(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, managed_study(request, slug))


@takes_upload(upload_allowance)
@require_POST
def upload_prompts(request: HttpRequest, slug: str) -> HttpResponse:
    study, form = managed_study(request, slug), PromptsForm(request.POST, request.FILES)
    return _import(request, study, RunKind.IMPORT_PROMPTS, form) or _page(request, study, 422, prompts=form)


@takes_upload(upload_allowance)
@require_POST
def upload_judgements(request: HttpRequest, slug: str) -> HttpResponse:
    study, form = managed_study(request, slug), JudgementsForm(request.POST, request.FILES)
    return _import(request, study, RunKind.IMPORT_JUDGEMENTS, form) or _page(request, study, 422, judgements=form)


@takes_upload(upload_allowance)
@require_POST
def upload_preferences(request: HttpRequest, slug: str) -> HttpResponse:
    study, form = managed_study(request, slug), PreferencesForm(request.POST, request.FILES)
    return _import(request, study, RunKind.IMPORT_PREFERENCES, form) or _page(request, study, 422, preferences=form)


def _page(request: HttpRequest, study: Study, status: int = 200, **filled: forms.Form) -> HttpResponse:
    context = {
        "study": study,
        "tab": "exchange",
        "export": ExportForm(),
        "preferences": PreferencesForm(),
        "prompts": PromptsForm(),
        "judgements": JudgementsForm(),
        **filled,
    }
    return render(request, "manage/exchange.html", context, status=status)


def _import(request: HttpRequest, study: Study, kind: str, form: forms.Form) -> HttpResponse | None:
    """Queue the import of the uploaded files; None when the form has errors, which stand in it."""
    if not form.is_valid():
        return None
    user = int(request.user.pk or 0)
    files = [value for value in form.cleaned_data.values() if isinstance(value, UploadedFile)]
    try:
        check_room(study=study, user=user, size=sum(file.size or 0 for file in files))
    except PalateError as error:
        form.add_error(None, str(error))
        return None
    folder = new_upload(study=study, user=user)
    try:
        run = operations.queue_run(
            kind=kind, study=study, values=_stored(form.cleaned_data, folder), created_by=request.user
        )
    except BaseException as error:
        shutil.rmtree(folder)
        if not isinstance(error, PalateError):
            raise
        form.add_error(None, str(error))
        return None
    return redirect("run", run.pk)


def _stored(cleaned: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write the uploads into their folder and name them in the run's options."""
    return {
        name: str(_written(value, folder / f"{name}{_suffix(value)}")) if isinstance(value, UploadedFile) else value
        for name, value in cleaned.items()
    }


def _suffix(upload: UploadedFile) -> str:
    """The ending tells CSV from JSON lines; nothing else of a stranger's file name is used."""
    name = (upload.name or "").lower()
    endings = (".jsonl.gz", ".json.gz", ".csv.gz", ".jsonl", ".json", ".csv", ".parquet", ".gz")
    return next((ending for ending in endings if name.endswith(ending)), "")


def _written(upload: UploadedFile, path: Path) -> Path:
    with path.open("wb") as file:
        for chunk in upload.chunks():
            file.write(chunk)
    return path
