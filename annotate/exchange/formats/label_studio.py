"""Label Studio's exports of Pairwise, Ranker and Choices between two: JSON, JSON_MIN and CSV."""

import json
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, brief, is_number, moment_of
from annotate.exchange.formats.fields import TIES, Fields, mark_read, match
from annotate.exchange.importers.import_records import (
    Bundle,
    ImportedJudgement,
    ImportedResponse,
    dense,
    digest,
    written,
)
from annotate.exchange.importers.notes import Notes

TYPES = ("pairwise", "ranker", "choices")


def label_studio(row: Row, fields: Fields, notes: Notes) -> list[Bundle]:
    """A task with data and annotations. Cancelled and empty annotations are left out and counted; one whose results
    none of the types here read is refused."""
    data = row.values.get("data")
    if not isinstance(data, dict):
        row.fail("data", _("is not an object; expected Label Studio's JSON export"))
    mark_read(row, *HOUSEKEEPING)
    responses = _responses(row, fields, data)
    judgements = [
        judgement
        for annotation in _annotations(row, notes)
        for judgement in _judgement(row, annotation, responses, notes)
    ]
    return [_bundle(row, fields, data, responses, judgements)]


# What Label Studio writes besides data and annotations, of which nothing is a judgement by a rater.
HOUSEKEEPING = (
    *("id", "project", "inner_id", "meta", "created_at", "updated_at", "updated_by", "file_upload", "drafts"),
    *("total_annotations", "cancelled_annotations", "total_predictions", "comment_count", "unresolved_comment_count"),
    *("last_comment_updated_at", "comment_authors", "allow_skip"),
)


def flat(row: Row, fields: Fields, notes: Notes) -> list[Bundle]:
    """A row of its CSV or JSON_MIN export: the task's fields and the annotation's, one annotation a row."""
    own = ("annotation_id", "annotator", "created_at", "updated_at", "lead_time", "id")
    data = {name: value for name, value in row.values.items() if name not in own}
    responses = _responses(row, fields, data)
    mark_read(row, *own, fields.prompt_of(row, data), *responses)
    rest = {name: value for name, value in data.items() if name not in responses}
    results = {name: _flat_result(row, name, value) for name, value in rest.items()}
    found = {name: result for name, result in results.items() if result}
    if not found:
        names = ", ".join(name for name in rest if name != fields.prompt_of(row, data)) or _("none")
        row.fail("annotation_id", _("no field holds a choice of left or right, or a ranking (%(names)s)"), names=names)
    mark_read(row, *found)
    seconds = str(row.values.get("lead_time") or "")
    annotation = {
        "id": row.values.get("annotation_id"),
        "completed_by": row.values.get("annotator"),
        "created_at": row.values.get("created_at"),
        "lead_time": float(seconds) if seconds.replace(".", "", 1).isdecimal() else None,
        "result": [{**result, "from_name": name} for name, result in found.items()],
    }
    return [_bundle(row, fields, data, responses, list(_judgement(row, annotation, responses, notes)))]


def _flat_result(row: Row, name: str, value: Any) -> dict[str, Any] | None:
    """The result that a cell holds, as the full export writes it; None where it holds none."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if value in ("left", "right"):
        value = {"selected": value}
    if isinstance(value, dict) and value.get("selected") in ("left", "right"):
        return {"type": "pairwise", "value": value}
    if isinstance(value, dict) and "ranker" in value:
        return {"type": "ranker", "value": value}
    return None


def _responses(row: Row, fields: Fields, data: dict[str, Any]) -> dict[str, ImportedResponse]:
    listed = next((v for v in data.values() if isinstance(v, list) and all(isinstance(i, dict) for i in v) and v), None)
    if listed is not None:
        return {str(item.get("id")): _item(row, item) for item in listed}
    names = fields.responses_of(row, data, fields.prompt_of(row, data))
    return {name: written(row, data[name], name, author=name) for name in names}


def _bundle(
    row: Row,
    fields: Fields,
    data: dict[str, Any],
    responses: dict[str, ImportedResponse],
    judgements: list[ImportedJudgement],
) -> Bundle:
    text = Row(row.file, row.line, data).text(fields.prompt_of(row, data))
    texts = list({w.external_id: w for w in responses.values()}.values())
    return Bundle(
        row, digest(text), text, responses=texts, judgements=judgements, split=row.name("split", required=False)
    )


def _item(row: Row, item: dict[str, Any]) -> ImportedResponse:
    text = "\n\n".join(str(item[part]) for part in ("title", "body") if item.get(part))
    return written(row, text, "body", author=str(item.get("id") or ""))


def _annotations(row: Row, notes: Notes) -> list[dict[str, Any]]:
    found = row.values.get("annotations") or row.values.get("completions") or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        row.fail("annotations", _("is not a list of objects"))
    kept = [entry for entry in found if not entry.get("was_cancelled") and entry.get("result")]
    if len(kept) < len(found):
        notes.leave_out("cancelled_annotations", len(found) - len(kept))
    return kept


def _judgement(
    row: Row, annotation: dict[str, Any], responses: dict[str, ImportedResponse], notes: Notes
) -> Iterator[ImportedJudgement]:
    rater = annotation.get("completed_by")
    rater = rater.get("id") if isinstance(rater, dict) else rater
    seconds: Any = annotation.get("lead_time")
    at = annotation.get("created_at")
    results = [result for result in annotation.get("result") or [] if isinstance(result, dict)]
    read = [result for result in results if result.get("type") in TYPES]
    others = sorted({f"{result.get('from_name')} ({result.get('type')})" for result in results if result not in read})
    if not read:
        message = _("annotation %(id)s has results that are not read: %(types)s; expected Pairwise, Ranker or Choices")
        row.fail("annotations", message, id=annotation.get("id"), types=", ".join(others))
    notes.ignore(others)
    for result in read:
        shown, ranks = _order(row, result, list(responses))
        yield ImportedJudgement(
            external_id=f"label-studio:{annotation.get('id')}:{result.get('from_name')}"
            if annotation.get("id") is not None
            else "",
            shown=[responses[name].external_id for name in shown],
            ranks=ranks,
            rater=None if rater is None else str(rater),
            seconds=seconds if is_number(seconds) else None,
            at=moment_of(at) if isinstance(at, str) else None,
            order_known=result["type"] == "pairwise",
        )


def _order(row: Row, result: dict[str, Any], names: list[str]) -> tuple[list[str], list[int]]:
    value = result.get("value")
    value = value if isinstance(value, dict) else {}
    if result["type"] == "pairwise":
        sides = {"left": [1, 2], "right": [2, 1]}
        if value.get("selected") not in sides or len(names) != 2:
            message = _("%(value)r of %(count)d responses; expected left or right of two")
            row.fail("selected", message, value=value.get("selected"), count=len(names))
        return names, sides[value["selected"]]
    if result["type"] == "choices":
        return names, _chosen(row, result, value.get("choices"), names)
    ranker = value.get("ranker")
    best = _ranked(row, ranker) if isinstance(ranker, dict) else ranker
    if not isinstance(best, list) or not best or not set(map(str, best)) <= set(names):
        row.fail("ranker", _("expected the ids of the items, the best first"))
    best = [str(name) for name in best]
    # What was not ranked comes after everything that was, tied.
    return names, dense([best.index(name) if name in best else len(best) for name in names])


def _chosen(row: Row, result: dict[str, Any], choices: Any, names: list[str]) -> list[int]:
    """The ranks that a single choice between two responses makes."""
    name = str(result.get("from_name"))
    if not isinstance(choices, list) or len(choices) != 1 or len(names) != 2:
        message = _("%(value)s of %(count)d responses; expected one choice of two")
        row.fail(name, message, value=brief(choices), count=len(names))
    if str(choices[0]).strip().lower() in TIES:
        return [1, 1]
    return [1, 2] if match(row, name, choices[0], names) == names[0] else [2, 1]


def _ranked(row: Row, buckets: dict[str, Any]) -> list[Any]:
    """The one bucket that was filled; "_" holds what was left where it lay."""
    filled = [items for name, items in buckets.items() if name != "_" and items]
    if len(filled) > 1:
        message = _("more than one bucket was filled, and the export does not say which of them is better")
        row.fail("ranker", message)
    return filled[0] if filled else buckets.get("_") or []
