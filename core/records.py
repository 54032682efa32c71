"""The one record to which every kind of judgement reduces, and its votes by pair. Imports nothing heavy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import fmean

# Between a prompt and its response where a model has no chat template.
SEPARATOR = "\n"


class Conversation(str):
    """A prompt that is a conversation. As a text it is its rendering, for people and for models without a chat
    template; messages, with role and content each, are what a chat template renders."""

    messages: Sequence[Mapping[str, str]]

    def __new__(cls, text: str, messages: Sequence[Mapping[str, str]]) -> "Conversation":
        made = super().__new__(cls, text)
        made.messages = messages
        return made

    def __getnewargs__(self) -> tuple[str, Sequence[Mapping[str, str]]]:  # type: ignore[override]
        return str(self), self.messages


def prompt_of(text: str, messages: Sequence[Mapping[str, str]] | None) -> str:
    """A prompt as the engine takes it; messages: of a conversation, else None or empty."""
    return Conversation(text, messages) if messages else text


@dataclass(frozen=True, slots=True)
class Record:
    """One live judgement. Everything that is one a response runs in the order shown to the rater.

    prompt: a text, or a Conversation. ranks: 1 is best, dense, equal ranks are ties; None when the rater only scored.
    scores: criterion key to one score a response, each in [0, 1] of the criterion's range.
    order_known: False where the source of an import does not say in which order the rater saw the responses.
    strength: 1 slightly to 3 much better, for two responses. weight: how much the judgement counts. authors: who wrote
    each response, or nothing when that is not known; models never see it.
    """

    prompt_id: str
    group: str
    prompt: str
    response_ids: tuple[str, ...]
    responses: tuple[str, ...]
    ranks: tuple[int, ...] | None
    rater: str
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    strength: int | None = None
    unacceptable: tuple[bool, ...] = ()
    weight: float = 1.0
    authors: tuple[str, ...] = ()
    order_known: bool = True


@dataclass(frozen=True, slots=True)
class Vote:
    """One rater's word on two responses of a prompt: outcome 1 (a is better), 0 (b is better) or 0.5 (tie).
    `a_first` says whether the rater saw a before b, None where nobody knows; strength runs from 1 (slightly) to 3 (much
    better), 0 if unsaid.
    `weight` is what it counts in training, `votes` what it counts where votes are told."""

    rater: str
    outcome: float
    a_first: bool | None
    weight: float
    strength: int = 0
    ranked: bool = False  # part of a ranking of three or more
    votes: float = 1.0


@dataclass(slots=True)
class Pair:
    """Two responses of a prompt, a before b by id, with all votes on them."""

    prompt_id: str
    group: str
    prompt: str
    a_id: str
    b_id: str
    a: str
    b: str
    votes: list[Vote] = field(default_factory=list)
    a_author: str = ""
    b_author: str = ""

    def _count(self, outcome: float) -> float:
        return sum(vote.votes for vote in self.votes if vote.outcome == outcome)

    @property
    def wins_a(self) -> float:
        return self._count(1.0)

    @property
    def wins_b(self) -> float:
        return self._count(0.0)

    @property
    def ties(self) -> float:
        return self._count(0.5)

    @property
    def votes_weight(self) -> float:
        """What the votes weigh together in training."""
        return sum(vote.weight for vote in self.votes)

    @property
    def margin(self) -> float:
        """Votes for a minus votes for b; ties count for neither."""
        return self.wins_a - self.wins_b

    @property
    def share_a(self) -> float:
        """The share of the votes that a won, a tie counting half to each."""
        wins_a, ties = self.wins_a, self.ties
        return (wins_a + ties / 2) / (wins_a + self.wins_b + ties)


# The criterion of unpaired feedback: 1 is a good response, 0 a bad one (TRL's column of the same name).
LABEL = "label"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A response that raters labelled on its own; label: the mean of their labels, in [0, 1]."""

    prompt_id: str
    prompt: str
    response_id: str
    response: str
    label: float


def labels_of(records: Iterable[Record]) -> list[Labelled]:
    """The responses that the records label good or bad, each once."""
    given: dict[tuple[str, str], list[float]] = {}
    texts: dict[tuple[str, str], tuple[str, str]] = {}
    for record in records:
        values = record.scores.get(LABEL, ())
        for response, text, value in zip(record.response_ids, record.responses, values, strict=False):
            given.setdefault((record.prompt_id, response), []).append(value)
            texts[record.prompt_id, response] = (record.prompt, text)
    return [
        Labelled(prompt_id, texts[prompt_id, response][0], response, texts[prompt_id, response][1], fmean(values))
        for (prompt_id, response), values in given.items()
    ]


def pairs_of(records: Iterable[Record], *, raters: bool = True) -> list[Pair]:
    """The pairs that the records compare, each with its votes; the records are read once and not kept. Without
    `raters`, votes that say the same are added up into one of nobody's, so memory grows with the pairs alone.

    A ranking of K responses gives its K(K-1)/2 pairs, a vote on each, of the weight 2/K: a ranking holds about K/2
    independent comparisons' worth of a rater's attention, and a pair of two keeps the weight 1. Scores without
    ranks are compared by their mean over the criteria, also between judgements of one rater on the same prompt.
    """
    pairs: dict[tuple[str, str, str], Pair] = {}
    votes_by_pair: dict[tuple[str, str, str], dict[Vote, list[float]]] = {}
    for record in _with_single_scores_joined(records):
        ranks = record.ranks or _ranks_of_scores(record)
        if ranks is None:
            continue
        k = len(ranks)
        for i, j in combinations(range(k), 2):
            pair, vote = _vote(pairs, record, i, j, ranks)
            if raters:
                pair.votes.append(vote)
            else:
                of_pair = votes_by_pair.setdefault((pair.prompt_id, pair.a_id, pair.b_id), {})
                sums = of_pair.setdefault(replace(vote, rater="", weight=0.0, votes=0.0), [0.0, 0.0])
                sums[0], sums[1] = sums[0] + vote.weight, sums[1] + vote.votes
    for key, alike in votes_by_pair.items():
        pairs[key].votes = [replace(vote, weight=weight, votes=votes) for vote, (weight, votes) in alike.items()]
    return list(pairs.values())


def _vote(
    pairs: dict[tuple[str, str, str], Pair], record: Record, i: int, j: int, ranks: Sequence[int]
) -> tuple[Pair, Vote]:
    """What the record says of two of its responses, and their pair, which is new if they were never compared."""
    first_is_a = record.response_ids[i] < record.response_ids[j]
    a, b = (i, j) if first_is_a else (j, i)
    a_first = first_is_a if record.order_known else None
    key = (record.prompt_id, record.response_ids[a], record.response_ids[b])
    pair = pairs.get(key)
    if pair is None:
        pair = pairs[key] = Pair(
            record.prompt_id,
            record.group,
            record.prompt,
            key[1],
            key[2],
            record.responses[a],
            record.responses[b],
            a_author=record.authors[a] if record.authors else "",
            b_author=record.authors[b] if record.authors else "",
        )
    ranked = record.ranks is not None and len(ranks) > 2
    outcome = 0.5 if ranks[a] == ranks[b] else float(ranks[a] < ranks[b])
    weight = record.weight * 2 / len(ranks)
    return pair, Vote(record.rater, outcome, a_first, weight, record.strength or 0, ranked, record.weight)


def _ranks_of_scores(record: Record) -> list[int] | None:
    if not record.scores:
        return None
    totals = _totals(record)
    order = sorted(set(totals), reverse=True)
    return [order.index(total) + 1 for total in totals]


def _totals(record: Record) -> list[float]:
    columns = list(record.scores.values())
    return [round(sum(column[k] for column in columns) / len(columns), 9) for k in range(len(record.responses))]


def _with_single_scores_joined(records: Iterable[Record]) -> Iterable[Record]:
    """The records, with a rater's separate scores of several responses to one prompt made one record."""
    single: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if len(record.responses) == 1:
            single.setdefault((record.rater, record.prompt_id), []).append(record)
        else:
            yield record
    for parts in single.values():
        keys = set.intersection(*(set(part.scores) for part in parts))
        if len(parts) < 2 or not keys:
            continue
        yield Record(
            prompt_id=parts[0].prompt_id,
            group=parts[0].group,
            prompt=parts[0].prompt,
            response_ids=tuple(part.response_ids[0] for part in parts),
            responses=tuple(part.responses[0] for part in parts),
            ranks=None,
            rater=parts[0].rater,
            scores={key: tuple(part.scores[key][0] for part in parts) for key in sorted(keys)},
            weight=parts[0].weight,
            authors=tuple(part.authors[0] for part in parts) if all(part.authors for part in parts) else (),
            order_known=False,
        )
