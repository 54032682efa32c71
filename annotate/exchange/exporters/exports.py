"""What leaves Palate, by format: judgements as they are, votes by pair, rankings, scores, and training data."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from annotate.collection.feedback import feedback
from annotate.exchange.exporters import iterate, trl_formats
from annotate.exchange.exporters.policy import Policy
from annotate.exchange.files.tables import Row, Table
from annotate.models.judgements import Judgement
from annotate.models.studies import Study
from core.records import Pair

RAW = {
    "judgement": "int",
    "live": "bool",
    "supersedes": "int",
    "made_at": "text",
    "part": "text",
    "purpose": "text",
    "chosen_by": "text",
    "instructions_version": "int",
    "rater": "text",
    "rater_kind": "text",
    "rater_status": "text",
    "device": "text",
    "prompt_id": "text",
    "group": "text",
    "split": "text",
    "prompt": "text",
    "position": "int",
    "response_id": "text",
    "author": "text",
    "response": "text",
    "rank": "int",
    "scores": "json",
    "scales": "json",
    "strength": "int",
    "unacceptable": "bool",
    "label": "text",
    "confidence": "int",
    "comment": "text",
    "seconds": "float",
    "order_known": "bool",
    "messages": "messages",
}
PROMPT = {"prompt_id": "text", "group": "text", "split": "text", "prompt": "text"}
PAIRS = {
    **PROMPT,
    **dict.fromkeys(("chosen", "rejected", "chosen_id", "rejected_id", "chosen_author", "rejected_author"), "text"),
    **dict.fromkeys(("votes_for", "votes_against", "ties", "margin", "agreement", "weight"), "float"),
    "raters": "int",
    "simulated_raters": "int",
}
RANKINGS = {
    **PROMPT,
    "judgement": "int",
    "rater": "text",
    "rater_kind": "text",
    "part": "text",
    "responses": "texts",
    "response_ids": "texts",
    "authors": "texts",
    "ranks": "ints",
    "seconds": "float",
}
SCORES = {
    **PROMPT,
    "response_id": "text",
    "author": "text",
    "response": "text",
    "criterion": "text",
    "mean": "float",
    "deviation": "float",
    "raters": "int",
    "minimum": "float",
    "maximum": "float",
}


LABELS = {**PROMPT, "label": "text", "share": "float", "votes": "json", "confidence": "float", "raters": "int"}

FEEDBACK = {
    "kind": "text",
    "made_at": "text",
    "rater": "text",
    "rater_kind": "text",
    "task": "int",
    **PROMPT,
    "reason": "text",
    "text": "text",
    "resolved": "bool",
}


def feedback_rows(study: Study, split: str = "all") -> Iterator[Row]:
    """One row a skipped task, flag or comment, the newest first."""
    for entry in feedback(study, split):
        rater = None if entry.rater is None else f"r{entry.rater}"
        yield [
            *(entry.kind, entry.at.isoformat(), rater, entry.rater_kind, entry.task),
            *(entry.prompt_id, entry.group, entry.split, entry.prompt, entry.reason, entry.text, entry.resolved),
        ]


def raw_rows(study: Study, split: str = "all") -> Iterator[Row]:
    """One row a judgement and response, superseded judgements included."""
    scales = {criterion.key: [criterion.minimum, criterion.maximum] for criterion in study.criteria.all()}
    fields = (
        *("id", "live", "supersedes", "made_at", "part", "task__purpose"),
        *("task__chosen_by", "instructions_version"),
        *("rater", "rater__kind", "rater__status", "device"),
        *("shown", "ranks", "scores", "strength", "unacceptable", "label", "confidence", "comment", "seconds"),
        "order_known",
    )
    for group, judgements in iterate.judgements(study, split, Judgement.objects.of_study(study), *fields):
        for pk, live, supersedes, at, part, purpose, by, version, rater, kind, standing, device, *answer in judgements:
            head = [pk, live, supersedes, at.isoformat(), part, purpose, by, version, f"r{rater}"]
            head += [kind, standing, device, group.external_id, group.group, group.split, group.text]
            for tail in _answers(group, scales, *answer):
                yield head + tail


def _answers(
    group: iterate.Group,
    scales: dict[str, list[float]],
    shown: list[int],
    ranks: list[int] | None,
    scores: dict[str, list[float]],
    strength: int | None,
    unacceptable: list[bool],
    label: str,
    confidence: int | None,
    comment: str,
    seconds: float | None,
    order_known: bool,
) -> Iterator[Row]:
    own_scales = {key: scales[key] for key in scores} or None
    for place, pk in enumerate(shown):
        response = group.responses[pk]
        own = {key: values[place] for key, values in scores.items()} or None
        rank = ranks[place] if ranks else None
        text = [place + 1, response.external_id, response.author, response.text]
        answer = [rank, own, own_scales, strength, unacceptable[place], label, confidence, comment, seconds]
        yield [*text, *answer, order_known, group.messages]


def pair_rows(study: Study, split: str = "all", policy: Policy | None = None) -> Iterator[Row]:
    """One row a pair of responses that live judgements compare, the winner by votes first."""
    policy = policy or Policy()
    simulated = {f"r{pk}" for pk in study.memberships.filter(kind="simulated").values_list("pk", flat=True)}
    for group, records in iterate.records(study, split, policy.counted(study)):
        for pair in policy.pairs(records):
            yield _pair(pair, group, simulated)


def _pair(pair: Pair, group: iterate.Group, simulated: set[str]) -> Row:
    a, b = group.responses[int(pair.a_id)], group.responses[int(pair.b_id)]
    a_wins = pair.margin >= 0
    chosen, rejected = (a, b) if a_wins else (b, a)
    votes_for, votes_against = (pair.wins_a, pair.wins_b) if a_wins else (pair.wins_b, pair.wins_a)
    raters = {vote.rater for vote in pair.votes}
    share = max(pair.share_a, 1 - pair.share_a)
    votes = (votes_for, votes_against, pair.ties, votes_for - votes_against)
    return [
        *(group.external_id, group.group, group.split, group.text),
        *(chosen.text, rejected.text, chosen.external_id, rejected.external_id, chosen.author, rejected.author),
        *(_counted(number) for number in votes),
        *(round(share, 6), round(2 * share - 1, 6)),
        *(len(raters), len(raters & simulated)),
    ]


def _counted(votes: float) -> float:
    """Votes as people count them, 2 rather than 2.0; where votes count in parts, the part."""
    number = round(float(votes), 6)
    return int(number) if number.is_integer() else number


def ranking_rows(study: Study, split: str = "all", policy: Policy | None = None) -> Iterator[Row]:
    """One row a judgement with ranks of two or more responses, the best first."""
    chosen = (policy or Policy()).counted(study).filter(ranks__isnull=False, shown__len__gte=2)
    fields = ("id", "rater", "rater__kind", "part", "shown", "ranks", "seconds")
    for group, judgements in iterate.judgements(study, split, chosen, *fields):
        for pk, rater, kind, part, shown, ranks, seconds in judgements:
            order = sorted(range(len(shown)), key=lambda place: (ranks[place], place))
            best = [group.responses[shown[place]] for place in order]
            yield [
                *(group.external_id, group.group, group.split, group.text, pk, f"r{rater}", kind, part),
                *([r.text for r in best], [r.external_id for r in best], [r.author for r in best]),
                *([ranks[place] for place in order], seconds),
            ]


def score_rows(study: Study, split: str = "all", policy: Policy | None = None) -> Iterator[Row]:
    """One row a response and criterion: the mean of its raters' scores and their standard deviation."""
    scales = {criterion.key: criterion for criterion in study.criteria.all()}
    chosen = (policy or Policy()).counted(study).exclude(scores={})
    for group, judgements in iterate.judgements(study, split, chosen, "rater", "shown", "scores"):
        given: dict[tuple[int, str], list[float]] = defaultdict(list)
        raters: dict[tuple[int, str], set[int]] = defaultdict(set)
        for rater, shown, scores in judgements:
            for key, values in scores.items():
                for pk, value in zip(shown, values, strict=True):
                    given[pk, key].append(value)
                    raters[pk, key].add(rater)
        for (pk, key), values in sorted(given.items()):
            response, deviation = group.responses[pk], statistics.stdev(values) if len(values) > 1 else None
            yield [
                *(group.external_id, group.group, group.split, group.text),
                *(response.external_id, response.author, response.text, key, statistics.fmean(values), deviation),
                *(len(raters[pk, key]), scales[key].minimum, scales[key].maximum),
            ]


def label_rows(study: Study, split: str = "all", policy: Policy | None = None) -> Iterator[Row]:
    """One row a prompt that raters labelled: the label of most raters, none of equals, and how sure they were.

    A rater who met the prompt in several tasks counts once, with the newest answer.
    """
    chosen = (policy or Policy()).counted(study).exclude(label="")
    for group, judgements in iterate.judgements(study, split, chosen, "rater", "label", "confidence"):
        newest = {rater: (label, sure) for rater, label, sure in judgements}
        votes = Counter(label for label, _ in newest.values()).most_common()
        alone = len(votes) == 1 or votes[0][1] > votes[1][1]
        sure = [confidence for _, confidence in newest.values() if confidence is not None]
        yield [
            *(group.external_id, group.group, group.split, group.text),
            *(votes[0][0] if alone else None, round(votes[0][1] / len(newest), 6), dict(votes)),
            *(statistics.fmean(sure) if sure else None, len(newest)),
        ]


def _raw(study: Study, split: str, policy: Policy, style: Any) -> Table:
    return Table(RAW, raw_rows(study, split))


def _of(columns: dict[str, str], rows: Callable[..., Iterator[Row]]) -> Callable[..., Table]:
    return lambda study, split, policy, style: Table(columns, rows(study, split, policy))


FORMATS: dict[str, Callable[[Study, str, Policy, trl_formats.Style], Table]] = {
    "raw": _raw,
    "pairs": _of(PAIRS, pair_rows),
    "rankings": _of(RANKINGS, ranking_rows),
    "scores": _of(SCORES, score_rows),
    "labels": _of(LABELS, label_rows),
    "feedback": lambda study, split, policy, style: Table(FEEDBACK, feedback_rows(study, split)),
    "preference": trl_formats.preference,
    "unpaired": trl_formats.unpaired,
    "prompts": trl_formats.prompts,
}


def table(
    study: Study,
    form: str,
    *,
    split: str = "all",
    policy: Policy | None = None,
    style: trl_formats.Style | None = None,
) -> Table:
    """The table of a format of FORMATS; its rows are read while they are taken."""
    return FORMATS[form](study, split, policy or Policy(), style or trl_formats.Style())
