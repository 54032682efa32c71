"""Do groups of raters, or of prompts, want different things? Pure functions.

Groups of raters are what raters say of themselves. A group smaller than the minimum is never shown, and neither is
what would let somebody subtract it from the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from annotate.analytics.comparisons import Comparisons, Floats, Ints
from core.statistics.bootstrap import Clusters, Estimate, estimate, ratio, share_estimate


@dataclass(frozen=True)
class Shown:
    """groups: those that may be shown, each with its raters. hidden: how many raters' groups are not shown."""

    groups: dict[str, set[int]]
    hidden: bool


def shown_groups(group_of: Mapping[int, str], raters: Sequence[int], minimum: int) -> Shown:
    """Groups with `minimum` raters or more. The rest, with those who declared nothing, must be as many or none: else
    the smallest shown group is held back too, because it and the total would give the hidden ones away.

    group_of: rater to the declared group, "" for none; raters: those with votes.
    """
    members: dict[str, set[int]] = {}
    for rater in raters:
        members.setdefault(group_of.get(rater, ""), set()).add(rater)
    rest = len(members.pop("", set()))
    small = sum(len(of) for of in members.values() if len(of) < minimum)
    groups = dict(sorted((name, of) for name, of in members.items() if len(of) >= minimum))
    rest += small
    while small and groups and rest < minimum:
        least = min(groups, key=lambda name: (len(groups[name]), name))
        rest += len(groups.pop(least))
    return Shown(groups, bool(small))


@dataclass(frozen=True)
class Preference:
    """How much of its votes an author wins in one group, and how that differs from the other groups together.
    differs: beyond doubt, although as many differences were looked at (95 % for all of them, Bonferroni)."""

    author: str
    group: str
    share: Estimate
    difference: Estimate
    differs: bool


def preferences(
    left: Ints, right: Ints, outcome: Floats, label: Ints, cluster: Ints, authors: Sequence[str], groups: Sequence[str]
) -> list[Preference]:
    """For every author and group: its share of the votes (a tie is half a vote), and the share minus that among all
    other votes; drawn by cluster (raters for groups of raters, tasks for groups of prompts).

    left, right (C,): authors by number; outcome (C,): 1 for left; label (C,): the group, -1 for none shown.
    """
    clusters, found = Clusters(cluster), []
    # One more label for what belongs to no group.
    places = np.where(label < 0, len(groups), label)
    of_group = clusters.count_by_label(places, len(groups) + 1)
    far = _far_enough(len(authors) * len(groups), clusters.count)
    for number, author in enumerate(authors):
        wins = (left == number) * outcome + (right == number) * (1 - outcome)
        played = ((left == number) | (right == number)) * 1.0
        whole, drawn = clusters.by_label(np.stack([wins, played], axis=1), places, len(groups) + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            share, shares = ratio(whole), ratio(drawn)
            gap = share - ratio(whole.sum(axis=0) - whole)
            gaps = shares - ratio(drawn.sum(axis=1, keepdims=True) - drawn)
        for k, group in enumerate(groups):
            if not (n := int(whole[k, 1])):
                continue
            difference = estimate(float(gap[k]), gaps[:, k], int(of_group[k]), n)
            differs = difference.excludes(0) and abs(gap[k]) > far * np.nanstd(gaps[:, k])
            own = share_estimate(float(share[k]), shares[:, k], int(of_group[k]), n)
            found.append(Preference(author, group, own, difference, bool(differs)))
    return found


def _far_enough(comparisons: int, clusters: int) -> float:
    """How many standard errors a difference must be from 0 to stand among so many."""
    return float(student.ppf(1 - 0.025 / max(comparisons, 1), max(clusters - 1, 1)))


def labels(comparisons: Comparisons, groups: Mapping[str, set[int]]) -> Ints:
    """(C,): the number of each comparison's rater's group among `groups`, -1 for none."""
    number = {rater: k for k, of in enumerate(groups.values()) for rater in of}
    return np.array([number.get(rater, -1) for rater in comparisons.rater.tolist()], np.int64)
