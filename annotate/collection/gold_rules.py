"""When an answer agrees with a known one. Pure functions."""

from collections.abc import Mapping, Sequence
from itertools import combinations

Scores = Mapping[str, Sequence[float]]
# A score may differ from the known one by this share of its scale.
TOLERANCE = 0.25


def same_order(known: Sequence[int], given: Sequence[int]) -> bool:
    """Whether every two responses stand in the known relation. A tie where the known answer prefers one is wrong,
    a preference where it has a tie is not: experts tie what hardly differs.

    known, said: ranks of the same responses in the same order, 1 the best.
    """
    return all(
        (given[i] < given[j]) == (known[i] < known[j]) and given[i] != given[j]
        for i, j in combinations(range(len(known)), 2)
        if known[i] != known[j]
    )


def close_scores(known: Scores, given: Scores, widths: Mapping[str, float]) -> bool:
    """Whether every known score lies within TOLERANCE of its scale's width from what was said.

    known, said: criterion key to one score a response; widths: criterion key to maximum minus minimum.
    """
    return all(
        abs(value - expected) <= TOLERANCE * widths[key] + 1e-9
        for key, values in known.items()
        for value, expected in zip(given.get(key, ()), values, strict=True)
    )
