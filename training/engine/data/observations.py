"""What raters said of a prompt's responses, in the form in which it is learned from: pairs, whole rankings, scores."""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.records import Pair, Record, pairs_of

Item = tuple[str, str]  # a prompt and a response


@dataclass(frozen=True, slots=True)
class Ranking:
    """An order of three or more responses of a prompt, by all raters who gave it; ranks run in the order of items."""

    items: tuple[Item, ...]
    ranks: tuple[int, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class Score:
    """A rater's score of one response on one criterion, in [0, 1] of its range."""

    item: Item
    criterion: str
    rater: str
    value: float
    weight: float


@dataclass(slots=True)
class Group:
    """Responses of one prompt, each once, and all that was said of them; `ordered` if some judgement ranks them."""

    items: list[Item] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    ordered: bool = False


def groups_of(records: Iterable[Record], *, raters: bool = True) -> list[Group]:
    """The records by prompt, read once: what stays in memory are texts, votes and scores, not records. Pairs come with
    the votes of every kind of judgement (records.pairs_of); without `raters`, votes that say the same are one."""
    groups: dict[str, Group] = {}
    rankings: dict[str, dict[tuple[tuple[Item, ...], tuple[int, ...]], float]] = {}

    def noted() -> Iterator[Record]:
        for record in records:
            group = groups.setdefault(record.prompt_id, Group())
            group.ordered |= record.ranks is not None
            if record.ranks is not None and len(record.ranks) > 2:
                same = rankings.setdefault(record.prompt_id, {})
                order = _ranked(record, record.ranks)
                same[order] = same.get(order, 0.0) + record.weight
            _note_scores(group, record)
            yield record

    for pair in pairs_of(noted(), raters=raters):
        groups[pair.prompt_id].pairs.append(pair)
    for prompt_id, group in groups.items():
        group.rankings = [Ranking(*order, weight) for order, weight in rankings.get(prompt_id, {}).items()]
        group.items = list(dict.fromkeys(_items_of(group)))
    return [group for group in groups.values() if group.items]


def _ranked(record: Record, ranks: tuple[int, ...]) -> tuple[tuple[Item, ...], tuple[int, ...]]:
    """The responses in an order that does not depend on how they were shown, and their ranks."""
    rows = sorted(zip(record.response_ids, record.responses, ranks, strict=True))
    return tuple((record.prompt, text) for _id, text, _rank in rows), tuple(rank for _id, _text, rank in rows)


def _note_scores(group: Group, record: Record) -> None:
    items = [(record.prompt, text) for text in record.responses] if record.scores else []
    for criterion, values in record.scores.items():
        group.scores += [
            Score(item, criterion, record.rater, value, record.weight)
            for item, value in zip(items, values, strict=True)
        ]


def items_of(groups: Iterable[Group]) -> list[Item]:
    """The distinct items of the groups."""
    return list(dict.fromkeys(item for group in groups for item in group.items))


def make_batches(
    groups: Sequence[Group], length: Callable[[Item], int], tokens: int, rng: random.Random
) -> Iterator[list[Group]]:
    """Batches of about `tokens` tokens, in random order.

    A prompt with more responses than fit is divided anew each time, and what compares responses of two divisions is
    left to another epoch's deal.
    """
    parts = [part for group in groups for part in _parts(group, length, tokens, rng)]
    rng.shuffle(parts)
    batch: list[Group] = []
    filled = 0
    for part in parts:
        size = sum(map(length, part.items))
        if batch and filled + size > tokens:
            yield batch
            batch, filled = [], 0
        batch.append(part)
        filled += size
    if batch:
        yield batch


def _parts(group: Group, length: Callable[[Item], int], tokens: int, rng: random.Random) -> list[Group]:
    """The group whole, or dealt into parts of like size that fit."""
    count = min(math.ceil(sum(map(length, group.items)) / tokens), max(1, len(group.items) // 2))
    if count <= 1:
        return [group]
    items = group.items[:]
    rng.shuffle(items)
    part_of = {item: place % count for place, item in enumerate(items)}
    parts = [Group(items=[]) for _ in range(count)]
    for item in items:
        parts[part_of[item]].items.append(item)
    for pair in group.pairs:
        a, b = part_of[pair.prompt, pair.a], part_of[pair.prompt, pair.b]
        if a == b:
            parts[a].pairs.append(pair)
    for ranking in group.rankings:
        if len({part_of[item] for item in ranking.items}) == 1:
            parts[part_of[ranking.items[0]]].rankings.append(ranking)
    for score in group.scores:
        parts[part_of[score.item]].scores.append(score)
    return parts


def criteria_of(groups: Iterable[Group]) -> list[str]:
    return sorted({score.criterion for group in groups for score in group.scores})


def places(items: Sequence[Item]) -> Mapping[Item, int]:
    return {item: place for place, item in enumerate(items)}


def _items_of(group: Group) -> Iterator[Item]:
    for pair in group.pairs:
        yield pair.prompt, pair.a
        yield pair.prompt, pair.b
    for ranking in group.rankings:
        yield from ranking.items
    for score in group.scores:
        yield score.item
