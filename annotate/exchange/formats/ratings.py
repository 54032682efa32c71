"""Texts with a number each and nothing else, as in the article's preferences.csv: text, rating."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row
from annotate.exchange.files.sources import InvalidRow, rows
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, ImportedResponse, digest

PROMPT = "How good is this text?"
CRITERION, RATER = "rating", "ratings"
# Texts without a prompt are compared with each other; so many that follow each other share one, and a split.
TOGETHER = 8
PLACE = "place"


def placed(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows with their place in the file, from 0 on: a text may take many of its lines."""
    for place, row in enumerate(rows):
        yield row if isinstance(row, InvalidRow) else Row(row.file, row.line, {**row.values, PLACE: place})


def ratings(row: Row) -> list[Bundle]:
    """text and rating. Each row is a response of its own, even where texts are equal."""
    text, value = row.text("text"), rating_of(row)
    response = ImportedResponse(digest(f"{row.line} {text}"), text)
    judgement = ImportedJudgement(
        response.external_id, (response.external_id,), scores={CRITERION: (value,)}, rater=RATER
    )
    prompt = f"texts-{row.values[PLACE] // TOGETHER + 1}"
    return [Bundle(row=row, prompt_id=prompt, prompt=PROMPT, responses=(response,), judgements=(judgement,))]


def rating_of(row: Row) -> float:
    text = str(row.values.get("rating", "")).strip()
    try:
        value = float(text)
    except ValueError:
        row.fail(
            "rating", _("%(value)s is not a number") if text else _("is missing; expected a number"), value=repr(text)
        )
    if not math.isfinite(value):
        row.fail("rating", _("%(value)s is not a finite number"), value=text)
    return value


def scale_of(path: Path) -> tuple[float, float]:
    """The range of a file's ratings: 0 to 1 where all fit, else the whole numbers around them."""
    # A row that cannot be read is told of when it is imported.
    values = [rating_of(row) for row in rows(path) if not isinstance(row, InvalidRow)] or [0.0]
    low, high = min(values), max(values)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (math.floor(low), max(math.ceil(high), math.floor(low) + 1))
