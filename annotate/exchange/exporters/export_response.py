"""An export as a streamed response, for the page and the API."""

from itertools import chain
from typing import Any

from django.http import HttpResponseBase

from annotate.audit.operations import record
from annotate.exchange.exporters import exports
from annotate.exchange.exporters.dataset_folder import Folder, zipped
from annotate.exchange.exporters.export_form import ExportForm
from annotate.exchange.files.tables import FILE_TYPES
from annotate.models.audit import Action
from annotate.models.studies import Study
from core.attachments import attachment


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
    # The first bytes are fetched before the answer begins, so that an error there still gets an error response.
    first = next(content, b"")
    return attachment(chain([first], content), f"{name}.{file_type}")
