"""Palate's own `raw` export, in any of its file types: every judgement comes back as it was.

Persons come back as imported raters, since their accounts do not travel; their pseudonyms stay apart.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from math import nan
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, moment_of
from annotate.exchange.files.tables import original
from annotate.exchange.formats.conversations import messages_of
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, ImportedResponse
from annotate.models.choices import Kind

ROWS = "rows"


def gather(rows: Iterable[Row]) -> Iterator[Row]:
    """One row a judgement, holding its rows a response."""
    for _key, own in groupby(rows, key=lambda row: str(row.values.get("judgement"))):
        responses = list(own)
        first = responses[0]
        yield first if not first.values else Row(first.file, first.line, {ROWS: responses})


def raw(row: Row) -> list[Bundle]:
    rows = sorted((_typed(own) for own in row.list_of(ROWS)), key=lambda own: own.values["position"] or 0)
    first = rows[0]
    values = first.values
    scales = values["scales"] or {}
    judgement = ImportedJudgement(
        external_id=f"palate:{values['judgement']}",
        shown=[own.name("response_id") for own in rows],
        ranks=None if values["rank"] is None else [own.values["rank"] for own in rows],
        scores={key: [(own.values["scores"] or {}).get(key, nan) for own in rows] for key in values["scores"] or {}},
        rater=first.name("rater"),
        kind=Kind.SIMULATED if values["rater_kind"] == Kind.SIMULATED else Kind.IMPORTED,
        status=first.name("rater_status", required=False),
        strength=values["strength"],
        unacceptable=[bool(own.values["unacceptable"]) for own in rows],
        label=first.name("label", required=False),
        confidence=values["confidence"],
        comment=first.text("comment", required=False),
        seconds=values["seconds"],
        at=_moment(first),
        part=first.name("part"),
        device=first.name("device", required=False),
        instructions_version=values["instructions_version"] or 0,
        live=bool(values["live"]),
        supersedes=f"palate:{values['supersedes']}" if values["supersedes"] else "",
        order_known=bool(values["order_known"]),
    )
    return [
        Bundle(
            row=first,
            prompt_id=first.name("prompt_id"),
            prompt=first.text("prompt"),
            responses=[
                ImportedResponse(o.name("response_id"), o.text("response", blank=True), o.name("author")) for o in rows
            ],
            judgements=[judgement],
            group=first.name("group", required=False),
            split=first.name("split"),
            purpose=first.name("purpose"),
            chosen_by=first.name("chosen_by", required=False),
            messages=messages_of(first, "messages") if first.has("messages") else (),
            scales={key: (float(low), float(high)) for key, (low, high) in scales.items()},
        )
    ]


NUMBERS = {
    **dict.fromkeys(("judgement", "live", "supersedes", "instructions_version", "position", "rank"), int),
    **dict.fromkeys(("strength", "confidence"), int),
    **dict.fromkeys(("unacceptable", "order_known"), int),
    "seconds": float,
}
OBJECTS = ("scores", "scales")


def _typed(row: Row) -> Row:
    """The row as it was before it became CSV; rows of JSON lines and Parquet have their types already."""
    if row.file.name.lower().removesuffix(".gz").endswith(".csv"):
        values: dict[str, Any] = {name: original(cell) for name, cell in row.values.items()}
    else:
        values = dict(row.values)
    for name, kind in NUMBERS.items():
        try:
            values[name] = None if values.get(name) in (None, "") else kind(values[name])
        except (TypeError, ValueError, OverflowError):
            row.fail(name, _("%(value)s is not a number"), value=repr(values[name]))
    for name in OBJECTS:
        if isinstance(values.get(name), str):
            try:
                values[name] = json.loads(values[name]) if values[name] else None
            except (ValueError, RecursionError):
                row.fail(name, _("is not JSON"))
        if not isinstance(values.get(name), dict | None):
            row.fail(name, _("is not an object"))
    return Row(row.file, row.line, values)


def _moment(row: Row) -> Any:
    moment = moment_of(row.text("made_at"))
    if moment is None:
        row.fail("made_at", _("is no date and time of the past, such as 2026-01-31T16:59:52+00:00"))
    return moment
