"""Prodigy's choice tasks: options of which the rater accepted some."""

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, is_number
from annotate.exchange.formats.fields import mark_read
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, ImportedResponse, digest, written
from annotate.exchange.importers.notes import Notes


def prodigy(row: Row, notes: Notes) -> list[Bundle]:
    """text, options (id, text), accept, answer. An accepted option is better than every other; tasks that were ignored,
    rejected or left without a choice are counted, and keep their responses."""
    options: list[Any] = row.list_of("options")
    if not all(isinstance(option, dict) and "id" in option for option in options):
        row.fail("options", _("expected objects with id and text"))
    responses = {str(o["id"]): written(row, o.get("text"), "options", author=str(o["id"])) for o in options}
    accepted = [str(name) for name in row.list_of("accept")]
    if unknown := [name for name in accepted if name not in responses]:
        row.fail("accept", _("%(name)r names none of the options"), name=unknown[0])
    mark_read(row, "_input_hash", "_task_hash", "_view_id", "_annotator_id", "_session_id", "_timestamp", "config")
    judgement = _judgement(row, responses, accepted, notes)
    text = row.text("text")
    own = list({response.external_id: response for response in responses.values()}.values())
    return [
        Bundle(row, digest(text), text, responses=own, judgements=judgement, split=row.name("split", required=False))
    ]


def _judgement(
    row: Row, responses: dict[str, ImportedResponse], accepted: list[str], notes: Notes
) -> list[ImportedJudgement]:
    answer = row.values.get("answer")
    if answer != "accept":
        notes.leave_out("ignored_tasks")
        return []
    if not 0 < len(accepted) < len(responses):
        notes.leave_out("undecided_tasks")
        return []
    stamp: Any = row.values.get("_timestamp")
    names = [str(row.values.get(name) or "") for name in ("_annotator_id", "_session_id")]
    return [
        ImportedJudgement(
            external_id="",
            shown=[response.external_id for response in responses.values()],
            ranks=[1 if name in accepted else 2 for name in responses],
            rater=names[0] or names[1] or None,
            at=datetime.fromtimestamp(float(stamp), UTC) if is_number(stamp) and 0 < stamp < 4e9 else None,
        )
    ]
