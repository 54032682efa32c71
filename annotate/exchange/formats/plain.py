"""Plain tables: a row a prompt, a response with or without scores, a comparison of two, or a list of responses.

Their fields are Palate's own names; `--map` gives these names to the columns of any other table (mapping.py).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, brief, is_empty, is_number, moment_of
from annotate.exchange.formats.fields import TIES
from annotate.exchange.formats.prompts import asked_by, bundle_of
from annotate.exchange.importers.import_records import (
    Bundle,
    ImportedJudgement,
    ImportedResponse,
    dense,
    digest,
    written,
)

SCORE = "score:"
SIDES = (
    {"a", "left", "first", "response_a", "model_a", "response a", "[[a]]", "a>b", "a>>b"},
    {"b", "right", "second", "response_b", "model_b", "response b", "[[b]]", "b>a", "b>>a"},
)
EQUAL = {*TIES, "c", "[[c]]", "a=b", "tie (bothbad)"}
TEXTS = ("text", "response", "answer", "completion", "output", "content", "body")
AUTHORS = ("author", "model", "model_name", "generator")


def prompts(row: Row) -> list[Bundle]:
    """prompt (or text), and optionally prompt_id, group, split, reference, context, audience."""
    if row.has("text") and not row.has("prompt"):
        text = row.text("text")
        return [bundle_of(row, [{"role": "user", "content": text}], ())]
    return [bundle_of(row, asked_by(row), ())]


def responses(row: Row) -> list[Bundle]:
    """prompt and response, and where wanted response_id, author, score:CRITERION and who scored."""
    asked = asked_by(row)
    text = row.text("response", blank=True)
    author = row.name("author", required=False) or "unknown"
    response = ImportedResponse(row.name("response_id", required=False) or digest(text), text, author)
    scores = {name.removeprefix(SCORE): (number,) for name in row.values
              if name.startswith(SCORE) and (number := _number(row, name)) is not None}  # fmt: skip
    judgements = [_judgement(row, (response.external_id,), scores=scores)] if scores else []
    return [bundle_of(row, asked, (response,), *judgements)]


def comparisons(row: Row) -> list[Bundle]:
    """prompt, response_a, response_b and winner: a or b, left or right, tie, or what names one of the two."""
    texts = [row.text(field, blank=True) for field in ("response_a", "response_b")]
    if texts[0] == texts[1]:
        row.fail("response_b", _("is the same text as response_a, so there is nothing to compare"))
    authors = [row.name(field, required=False) for field in ("author_a", "author_b")]
    pair = [written(row, text, "response", author=author) for text, author in zip(texts, authors, strict=True)]
    names = [w.external_id for w in pair]
    asked = asked_by(row)
    if not row.has("winner"):
        row.fail("winner", _("is missing; expected a, b or tie"))
    judgement = _judgement(row, names, ranks=_ranks(row, texts, authors), strength=_number(row, "strength"))
    return [bundle_of(row, asked, pair, judgement)]


def candidates(row: Row) -> list[Bundle]:
    """prompt and a list: responses, as texts, or as objects with a text, a model and a rank; or a column of ranks."""
    entries = row.list_of("responses")
    pairs = [_candidate(row, number, entry) for number, entry in enumerate(entries, start=1)]
    ranks = [rank for _response, rank in pairs]
    if row.has("ranks"):
        ranks = row.list_of("ranks", len(entries))
    ranked = [rank for rank in ranks if rank is not None]
    if ranked and (len(ranked) < len(ranks) or not all(map(is_number, ranked))):
        expected = _("%(ranks)s; expected a number for each response, the lowest for the best")
        row.fail("ranks", expected, ranks=brief(ranks))
    own = [response for response, _rank in pairs]
    judgements = [_judgement(row, [r.external_id for r in own], ranks=dense(ranked))] if len(ranked) > 1 else []
    return [bundle_of(row, asked_by(row), own, *judgements)]


def _candidate(row: Row, number: int, entry: Any) -> tuple[ImportedResponse, Any]:
    if isinstance(entry, str):
        return written(row, entry, "responses"), None
    if not isinstance(entry, Mapping):
        message = _("entry %(number)d is %(value)s; expected a text or an object")
        row.fail("responses", message, number=number, value=brief(entry))
    name = next((name for name in TEXTS if isinstance(entry.get(name), str)), "")
    if not name:
        message = _("entry %(number)d has no text under %(names)s")
        row.fail("responses", message, number=number, names=", ".join(TEXTS))
    author = next((str(entry[name]) for name in AUTHORS if not is_empty(entry.get(name))), "")
    for other, value in entry.items():
        if other not in (*TEXTS, *AUTHORS, "rank", "id") and not is_empty(value):
            # Named and judged as if it were a column of its own.
            row.values.setdefault(f"responses[].{other}", value)
    return written(row, entry[name], "responses", author=author), entry.get("rank")


def _judgement(
    row: Row,
    shown: Sequence[str],
    *,
    ranks: Sequence[int] | None = None,
    scores: Mapping[str, Sequence[float]] | None = None,
    strength: float | None = None,
) -> ImportedJudgement:
    at, seconds = row.text("at", required=False), _number(row, "seconds")
    judgement = row.name("judgement_id", required=False)
    if at and moment_of(at) is None:
        row.fail("at", _("%(text)r is no date and time of the past; expected such as 2026-01-31T16:59:52Z"), text=at)
    return ImportedJudgement(
        external_id=f"table:{judgement}" if judgement else "",
        shown=shown,
        ranks=ranks,
        scores=scores or {},
        rater=row.name("rater", required=False) or None,
        strength=int(strength) if strength in (1, 2, 3) else strength,  # type: ignore[arg-type]
        comment=row.text("comment", required=False),
        seconds=seconds,
        at=moment_of(at) if at else None,
    )


def _number(row: Row, field: str) -> float | None:
    """A number, or the text of one, as CSV has it."""
    value: Any = row.values.get(field)
    if is_empty(value):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            row.fail(field, _("%(value)s is not a number"), value=brief(value))
    if not is_number(value) or isinstance(value, bool):
        row.fail(field, _("%(value)s is not a number"), value=brief(value))
    return float(value)


def _ranks(row: Row, texts: Sequence[str], authors: Sequence[str]) -> list[int]:
    """Which of two responses the winner names: a side, a text, an author, or the number in the name of a column."""
    value: Any = row.values["winner"]
    word = str(value).strip().removesuffix(".0")
    columns = [row.columns.get(field, field) for field in ("response_a", "response_b")]
    numbers = [(re.findall(r"\d+", name) or [""])[-1] for name in columns]
    for names in (texts, authors, columns):
        if word in names and names[0] != names[1]:
            return [1, 2] if word == names[0] else [2, 1]
    if word.lower() in SIDES[0] | SIDES[1]:
        return [1, 2] if word.lower() in SIDES[0] else [2, 1]
    if word.lower() in EQUAL:
        return [1, 1]
    number = re.fullmatch(r"(?:.*\D)?(\d+)", word)
    if number and numbers[0] != numbers[1] and number[1] in numbers:
        return [1, 2] if number[1] == numbers[0] else [2, 1]
    message = _(
        "%(value)s names neither response; expected a, b or tie, the response itself, or the number in the name of its "
        "column (%(columns)s)"
    )
    return row.fail("winner", message, value=brief(value), columns=", ".join(columns))
