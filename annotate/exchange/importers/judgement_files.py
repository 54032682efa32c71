"""Palate's JSON lines of responses and of judgements, each row a bundle that is checked like any other import's."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, brief, moment_of
from annotate.exchange.files.sources import known_rows
from annotate.exchange.importers.checks import check
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, ImportedResponse, dense

RESPONSE_FIELDS = {"response_id", "prompt_id", "text", "author"}
JUDGEMENT_FIELDS = {
    *("prompt_id", "shown", "ranks", "scores", "rater", "at", "seconds", "comment", "strength", "unacceptable"),
}


def read_responses(file: Path, prompts: Mapping[str, str]) -> dict[str, Bundle]:
    """Responses by id, each in a bundle of its own. `prompts` are those that one may belong to, id to text."""
    responses: dict[str, Bundle] = {}
    for row in known_rows(file, RESPONSE_FIELDS):
        prompt = row.name("prompt_id")
        if prompt not in prompts:
            row.fail("prompt_id", _("%(name)r is no prompt of the prompts file or of the study"), name=prompt)
        author = row.name("author", required=False) or "unknown"
        response = ImportedResponse(row.name("response_id"), row.text("text", blank=True), author)
        bundle = Bundle(row, prompt, prompts[prompt], [response])
        check(bundle)
        before = responses.setdefault(response.external_id, bundle)
        if (before.prompt_id, *before.responses) != (prompt, response):
            message = _("%(name)r stands at line %(line)d as another response")
            row.fail("response_id", message, name=response.external_id, line=before.row.line)
    return responses


def read_judgements(file: Path, responses: Mapping[str, Bundle]) -> Iterator[Bundle]:
    """The judgements of a file, each checked against the responses it shows."""
    for row in known_rows(file, JUDGEMENT_FIELDS):
        bundle = _judgement(row, responses)
        check(bundle)
        yield bundle


def _judgement(row: Row, responses: Mapping[str, Bundle]) -> Bundle:
    shown = _shown(row, responses)
    flags = row.values.get("unacceptable")
    judgement = ImportedJudgement(
        external_id="",
        shown=shown,
        ranks=_ranks(row, len(shown)) if row.values.get("ranks") is not None else None,
        scores=_scores(row),
        rater=row.name("rater"),
        strength=row.values.get("strength"),
        unacceptable=() if flags is None else row.list_of("unacceptable", len(shown)),
        comment=row.text("comment", required=False),
        seconds=row.number("seconds"),
        at=_moment(row),
        order_known=True,
    )
    bundle = responses[shown[0]]
    return Bundle(row, bundle.prompt_id, bundle.prompt, [responses[entry].responses[0] for entry in shown], [judgement])


def _shown(row: Row, responses: Mapping[str, Bundle]) -> tuple[str, ...]:
    prompt, shown = row.name("prompt_id"), tuple(str(entry) for entry in row.list_of("shown"))
    if not shown:
        row.fail("shown", _("is empty; expected the ids of the responses shown"))
    if len(set(shown)) != len(shown):
        row.fail("shown", _("names a response twice"))
    for entry in shown:
        response = responses.get(entry)
        if response is None:
            row.fail("shown", _("%(name)r is no response of the responses file"), name=entry)
        if response.prompt_id != prompt:
            message = _("%(name)r answers prompt %(other)r, not %(prompt)r")
            row.fail("shown", message, name=entry, other=response.prompt_id, prompt=prompt)
    return shown


def _ranks(row: Row, k: int) -> list[int]:
    """Dense ranks of a dense ([1, 1, 2]) or competition ([1, 1, 3]) ranking."""
    ranks = row.list_of("ranks")
    whole = len(ranks) == k and all(isinstance(r, int) and not isinstance(r, bool) for r in ranks)
    without_gaps = dense(ranks) if whole else []
    competition = whole and [1 + sum(other < rank for other in ranks) for rank in ranks]
    if not whole or ranks not in (without_gaps, competition):
        message = _(
            "%(ranks)s is not a ranking of %(k)d responses; expected one whole number a response, 1 the best, equal "
            "numbers for ties"
        )
        row.fail("ranks", message, ranks=brief(ranks), k=k)
    return without_gaps


def _scores(row: Row) -> Mapping[str, Any]:
    scores = row.values.get("scores")
    if not isinstance(scores, dict | None):
        row.fail("scores", _("is not an object; expected criterion names with one score a response"))
    if wrong := [key for key, values in (scores or {}).items() if not isinstance(values, list)]:
        row.fail(f"scores.{wrong[0]}", _("is not a list; expected a number for each response"))
    return scores or {}


def _moment(row: Row) -> datetime | None:
    text = row.text("at", required=False)
    moment = moment_of(text) if text else None
    if text and moment is None:
        message = _("%(text)r is no date and time of the past; expected such as 2026-01-31T16:59:52Z")
        row.fail("at", message, text=text)
    return moment
