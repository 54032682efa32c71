"""Label Studio's JSON export of Pairwise and Ranker tasks."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.bundles import Bundle, Said, Written, dense, digest, written
from annotate.exchange.files import Row, is_number, moment_of
from annotate.exchange.shapes.fields import Fields


def label_studio(row: Row, fields: Fields) -> list[Bundle]:
    """A task with data and annotations; cancelled annotations and those without a choice are left out."""
    data = row.values.get("data")
    if not isinstance(data, dict):
        row.fail("data", _("is not an object; expected Label Studio's JSON export"))
    prompt = fields.prompt_of(row, data)
    inner = Row(row.file, row.line, data)
    listed = next((v for v in data.values() if isinstance(v, list) and all(isinstance(i, dict) for i in v) and v), None)
    responses: dict[str, Written] = {}
    if listed is not None:
        for item in listed:
            responses[str(item.get("id"))] = _item(row, item)
    else:
        for name in fields.responses_of(row, data, prompt):
            responses[name] = written(row, data[name], name, author=name)
    said = [told for annotation in _annotations(row) for told in _said(row, annotation, responses)]
    text = inner.text(prompt)
    return [Bundle(row, digest(text), text, list({w.external_id: w for w in responses.values()}.values()), said)]


def _item(row: Row, item: dict[str, Any]) -> Written:
    text = "\n\n".join(str(item[part]) for part in ("title", "body") if item.get(part))
    return written(row, text, "body", author=str(item.get("id") or ""))


def _annotations(row: Row) -> list[dict[str, Any]]:
    found = row.values.get("annotations") or row.values.get("completions") or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        row.fail("annotations", _("is not a list of objects"))
    return [entry for entry in found if not entry.get("was_cancelled")]


def _said(row: Row, annotation: dict[str, Any], responses: dict[str, Written]) -> Iterator[Said]:
    rater = annotation.get("completed_by")
    rater = rater.get("id") if isinstance(rater, dict) else rater
    seconds: Any = annotation.get("lead_time")
    at = annotation.get("created_at")
    for result in annotation.get("result") or []:
        if not isinstance(result, dict) or result.get("type") not in ("pairwise", "ranker"):
            continue
        shown, ranks = _order(row, result, list(responses))
        yield Said(
            external_id=f"label-studio:{annotation.get('id')}:{result.get('from_name')}"
            if annotation.get("id")
            else "",
            shown=[responses[name].external_id for name in shown],
            ranks=ranks,
            rater=None if rater is None else str(rater),
            seconds=seconds if is_number(seconds) else None,
            at=moment_of(at) if isinstance(at, str) else None,
        )


def _order(row: Row, result: dict[str, Any], names: list[str]) -> tuple[list[str], list[int]]:
    value = result.get("value")
    value = value if isinstance(value, dict) else {}
    if result["type"] == "pairwise":
        sides = {"left": [1, 2], "right": [2, 1]}
        if value.get("selected") not in sides or len(names) != 2:
            said = _("%(value)r of %(count)d responses; expected left or right of two")
            row.fail("selected", said, value=value.get("selected"), count=len(names))
        return names, sides[value["selected"]]
    ranker = value.get("ranker")
    best = _ranked(row, ranker) if isinstance(ranker, dict) else ranker
    if not isinstance(best, list) or not best or not set(map(str, best)) <= set(names):
        row.fail("ranker", _("expected the ids of the items, the best first"))
    best = [str(name) for name in best]
    # What was not ranked comes after everything that was, tied.
    return names, dense([best.index(name) if name in best else len(best) for name in names])


def _ranked(row: Row, buckets: dict[str, Any]) -> list[Any]:
    """The one bucket that was filled; "_" holds what was left where it lay."""
    filled = [items for name, items in buckets.items() if name != "_" and items]
    if len(filled) > 1:
        said = _("more than one bucket was filled, and the export does not say which of them is better")
        row.fail("ranker", said)
    return filled[0] if filled else buckets.get("_") or []
