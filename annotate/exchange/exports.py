"""Export of judgements as CSV rows, streamed from a server-side cursor: memory does not grow with the study."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from annotate.exchange.records import records_of
from annotate.judgements.models import Judgement
from annotate.prompts.models import Prompt, Response
from annotate.studies.models import Study
from training.engine.records import Pair, pairs_of

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
RAW_COLUMNS = [
    *("judgement", "live", "supersedes", "made_at", "part", "purpose", "instructions_version", "rater", "rater_kind"),
    *("rater_standing", "device", "prompt_id", "group", "split", "prompt"),
    *("position", "response_id", "author", "response", "rank", "scores", "strength", "unacceptable", "comment"),
    "seconds",
]
PAIR_COLUMNS = [
    *("prompt_id", "group", "split", "prompt", "chosen", "rejected", "chosen_id", "rejected_id", "chosen_author"),
    *("rejected_author", "votes_for", "votes_against", "ties", "margin", "agreement", "raters", "simulated_raters"),
]
Row = list[Any]


def safe(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula: texts that start like one get a ' in front.

    Texts that start with ' get one too, so that taking one ' off every text that starts with it gives the
    original back (see `original`).
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def original(cell: str) -> str:
    """The text that `safe` was given."""
    return cell.removeprefix("'")


def lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """The CSV lines of a table, header first, every cell safe."""
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([safe(cell) for cell in row])


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def raw_rows(study: Study, split: str = "all") -> Iterator[Row]:
    """One row a judgement and response, superseded judgements included."""
    judgements = Judgement.objects.of_study(study).in_split(split).select_related("rater", "task")
    ordered = judgements.order_by("task__prompt", "id").iterator(chunk_size=2000)
    for prompt_id, group in groupby(ordered, key=lambda judgement: judgement.task.prompt_id):
        prompt = Prompt.objects.get(pk=prompt_id)
        responses = prompt.responses.select_related("author_model").in_bulk()
        for judgement in group:
            yield from _raw(judgement, prompt, responses)


def _raw(judgement: Judgement, prompt: Prompt, responses: dict[int, Response]) -> Iterator[Row]:
    for place, pk in enumerate(judgement.shown):
        response = responses[pk]
        yield [
            judgement.pk,
            int(judgement.live),
            judgement.supersedes_id or "",
            judgement.made_at.isoformat(),
            judgement.part,
            judgement.task.purpose,
            judgement.instructions_version,
            judgement.rater.pseudonym,
            judgement.rater.kind,
            judgement.rater.standing,
            judgement.device,
            prompt.external_id,
            prompt.group,
            prompt.split,
            prompt.text,
            place + 1,
            response.external_id,
            response.author,
            response.text,
            judgement.ranks[place] if judgement.ranks else "",
            json.dumps({key: values[place] for key, values in judgement.scores.items()}) if judgement.scores else "",
            judgement.strength or "",
            int(judgement.unacceptable[place]),
            judgement.comment,
            "" if judgement.seconds is None else judgement.seconds,
        ]


def pair_rows(study: Study, split: str = "all", *, keep_ties: bool = False) -> Iterator[Row]:
    """One row a pair of responses that live judgements compare, the winner by votes first.

    Pairs with as many votes for as against have no winner: left out unless `keep_ties`.
    """
    simulated = {f"r{pk}" for pk in study.memberships.filter(kind="simulated").values_list("pk", flat=True)}
    judged = Prompt.objects.filter(study=study, tasks__judgements__live=True).distinct().order_by("id")
    if split != "all":
        judged = judged.filter(split=split)
    # A prompt at a time: its pairs fit in memory, however many prompts there are.
    for prompt in judged.iterator(chunk_size=500):
        responses = {str(r.pk): r for r in prompt.responses.select_related("author_model")}
        for pair in pairs_of(records_of(Judgement.objects.counted().filter(task__prompt=prompt))):
            if pair.margin or keep_ties:
                yield _pair(pair, prompt, responses, simulated)


def _pair(pair: Pair, prompt: Prompt, responses: dict[str, Response], simulated: set[str]) -> Row:
    a_wins = pair.margin >= 0
    chosen, rejected = (pair.a_id, pair.b_id) if a_wins else (pair.b_id, pair.a_id)
    votes_for, votes_against = (pair.wins_a, pair.wins_b) if a_wins else (pair.wins_b, pair.wins_a)
    raters = {vote.rater for vote in pair.votes}
    return [
        prompt.external_id,
        prompt.group,
        prompt.split,
        prompt.text,
        responses[chosen].text,
        responses[rejected].text,
        responses[chosen].external_id,
        responses[rejected].external_id,
        responses[chosen].author,
        responses[rejected].author,
        round(votes_for, 6),
        round(votes_against, 6),
        round(pair.ties, 6),
        round(votes_for - votes_against, 6),
        round(max(pair.share_a, 1 - pair.share_a), 6),
        len(raters),
        len(raters & simulated),
    ]
