"""Reading and checking the JSON lines of responses and judgements, before anything touches the database."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from annotate.exchange.checks import check_criterion
from annotate.exchange.files import Row, brief, is_number, json_rows, moment_of
from annotate.judgements.models import MOST_SECONDS

RESPONSE_FIELDS = {"response_id", "prompt_id", "text", "author"}
JUDGEMENT_FIELDS = {
    *("prompt_id", "shown", "ranks", "scores", "rater", "at", "seconds", "comment", "strength", "unacceptable"),
}


@dataclass(frozen=True, slots=True)
class NewResponse:
    external_id: str
    prompt_id: str
    text: str
    author: str
    row: Row


@dataclass(frozen=True, slots=True)
class NewJudgement:
    """A judgement as the file gives it; responses by their ids in the file."""

    prompt_id: str
    shown: tuple[str, ...]
    ranks: tuple[int, ...] | None
    scores: Mapping[str, list[float]]
    rater: str
    at: datetime
    seconds: float | None
    comment: str
    strength: int | None
    unacceptable: tuple[bool, ...]
    row: Row

    @property
    def key(self) -> tuple[str, frozenset[str]]:
        """A rater judges a set of responses once."""
        return self.rater, frozenset(self.shown)

    @property
    def answer(self) -> tuple[Any, ...]:
        """What was said, whatever the order shown."""
        return (
            dict(zip(self.shown, self.ranks, strict=True)) if self.ranks else None,
            {key: dict(zip(self.shown, values, strict=True)) for key, values in self.scores.items()},
        )


def read_responses(file: Path, prompt_ids: Collection[str]) -> dict[str, NewResponse]:
    """Responses by id. `prompt_ids` are those that a response may belong to."""
    responses: dict[str, NewResponse] = {}
    for row in json_rows(file, RESPONSE_FIELDS):
        prompt = row.name("prompt_id")
        if prompt not in prompt_ids:
            row.fail("prompt_id", f"{prompt!r} is no prompt of the prompts file or of the study")
        author = row.name("author", required=False) or "unknown"
        response = NewResponse(row.name("response_id"), prompt, row.text("text"), author, row)
        before = responses.setdefault(response.external_id, response)
        if (before.prompt_id, before.text, before.author) != (prompt, response.text, author):
            row.fail("response_id", f"{response.external_id!r} stands at line {before.row.line} as another response")
    return responses


def read_judgements(
    file: Path, responses: Mapping[str, NewResponse], scales: Mapping[str, tuple[float, float]]
) -> Iterator[NewJudgement]:
    """The judgements of a file, each checked against the responses it shows and the criteria's scales.

    scales: every criterion's key to (lowest, highest).
    A rater who says the same twice counts once; saying two different things is an error.
    """
    seen: dict[tuple[str, frozenset[str]], NewJudgement] = {}
    now = timezone.now()
    for row in json_rows(file, JUDGEMENT_FIELDS):
        judgement = _judgement(row, responses, scales, now)
        before = seen.setdefault(judgement.key, judgement)
        if before is judgement:
            yield judgement
        elif before.answer != judgement.answer:
            row.fail("rater", f"{judgement.rater!r} judged these responses differently at line {before.row.line}")


def _judgement(
    row: Row, responses: Mapping[str, NewResponse], scales: Mapping[str, tuple[float, float]], now: datetime
) -> NewJudgement:
    prompt = row.name("prompt_id")
    shown = _shown(row, prompt, responses)
    ranks = _ranks(row, len(shown)) if row.values.get("ranks") is not None else None
    scores = _scores(row, len(shown), scales)
    if ranks is None and not scores:
        row.fail("ranks", "is missing, and so is scores; expected at least one of them")
    return NewJudgement(
        prompt_id=prompt,
        shown=shown,
        ranks=ranks,
        scores=scores,
        rater=row.name("rater"),
        at=_moment(row) or now,
        seconds=_seconds(row),
        comment=row.text("comment", required=False),
        strength=_strength(row, len(shown), ranks),
        unacceptable=_unacceptable(row, len(shown)),
        row=row,
    )


def _shown(row: Row, prompt: str, responses: Mapping[str, NewResponse]) -> tuple[str, ...]:
    shown = tuple(str(entry) for entry in row.list_of("shown"))
    if not shown:
        row.fail("shown", "is empty; expected the ids of the responses shown")
    if len(set(shown)) != len(shown):
        row.fail("shown", "names a response twice")
    for entry in shown:
        response = responses.get(entry)
        if response is None:
            row.fail("shown", f"{entry!r} is no response of the responses file")
        if response.prompt_id != prompt:
            row.fail("shown", f"{entry!r} answers prompt {response.prompt_id!r}, not {prompt!r}")
    return shown


def _ranks(row: Row, k: int) -> tuple[int, ...]:
    """Dense ranks of a dense ([1, 1, 2]) or competition ([1, 1, 3]) ranking."""
    ranks = row.list_of("ranks")
    whole = len(ranks) == k and all(isinstance(r, int) and not isinstance(r, bool) for r in ranks)
    order = sorted(set(ranks)) if whole else []
    dense = order == list(range(1, len(order) + 1))
    competition = all(rank == 1 + sum(other < rank for other in ranks) for rank in order)
    if not whole or not (dense or competition):
        row.fail(
            "ranks",
            f"{brief(ranks)} is not a ranking of {k} responses; expected one whole number a response, 1 the best, "
            f"equal numbers for ties",
        )
    return tuple(order.index(rank) + 1 for rank in ranks)


def _scores(row: Row, k: int, scales: Mapping[str, tuple[float, float]]) -> dict[str, list[float]]:
    scores = row.values.get("scores")
    if scores is None:
        return {}
    if not isinstance(scores, dict):
        row.fail("scores", "is not an object; expected criterion names with one score a response")
    for key, values in scores.items():
        check_criterion(row, key)
        if not isinstance(values, list) or len(values) != k:
            row.fail(f"scores.{key}", f"expected a list of {k} scores, one a response")
        low, high = scales[key]
        for value in values:
            if not is_number(value) or not low <= value <= high:
                row.fail(f"scores.{key}", f"{brief(value)} is not a number from {low:g} to {high:g}")
    return {key: [float(value) for value in values] for key, values in scores.items()}


def _moment(row: Row) -> datetime | None:
    text = row.text("at", required=False)
    moment = moment_of(text) if text else None
    if text and moment is None:
        row.fail("at", f"{text!r} is no date and time of the past; expected such as 2026-01-31T16:59:52Z")
    return moment


def _seconds(row: Row) -> float | None:
    seconds = row.number("seconds")
    if seconds is not None and not 0 <= seconds <= MOST_SECONDS:
        row.fail("seconds", f"{seconds:g}; expected a number from 0 to {MOST_SECONDS:g}")
    return seconds


def _strength(row: Row, k: int, ranks: tuple[int, ...] | None) -> int | None:
    strength = row.values.get("strength")
    if strength is None:
        return None
    if strength not in (1, 2, 3) or isinstance(strength, bool):
        row.fail("strength", f"{strength!r} is not 1, 2 or 3")
    if k != 2 or ranks is None or ranks[0] == ranks[1]:
        row.fail("strength", "only two responses of different rank have one")
    return int(strength)


def _unacceptable(row: Row, k: int) -> tuple[bool, ...]:
    if row.values.get("unacceptable") is None:
        return (False,) * k
    flags = row.list_of("unacceptable", k)
    if not all(isinstance(flag, bool) for flag in flags):
        row.fail("unacceptable", f"{flags!r}; expected true or false for each response")
    return tuple(flags)
