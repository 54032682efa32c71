"""Do groups of raters, or of prompts, want different things? Pure functions.

Groups of raters are what raters say of themselves. A group smaller than the minimum is never shown, and neither is
what would let somebody subtract it from the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from annotate.judgements.comparisons import Comparisons, Floats, Ints
from annotate.quality.bootstrap import Clusters, Estimate


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
    """How much of its votes an author wins in one group, and how that differs from the other groups together."""

    author: str
    group: str
    share: Estimate
    difference: Estimate

    @property
    def differs(self) -> bool:
        return self.difference.excludes(0)


def preferences(
    left: Ints, right: Ints, outcome: Floats, label: Ints, cluster: Ints, authors: Sequence[str], groups: Sequence[str]
) -> list[Preference]:
    """For every author and group: its share of the votes (a tie is half a vote), and the share minus that among all
    other votes; drawn by cluster (raters for groups of raters, tasks for groups of prompts).

    left, right (C,): authors by number; outcome (C,): 1 for left; label (C,): the group, -1 for none shown.
    """
    clusters, found = Clusters(cluster), []
    for number, author in enumerate(authors):
        wins = (left == number) * outcome + (right == number) * (1 - outcome)
        played = ((left == number) | (right == number)) * 1.0
        for k, group in enumerate(groups):
            inside = (label == k) * 1.0
            n = int((played * inside).sum())
            if not n:
                continue
            values = np.stack([wins * inside, played * inside, wins * (1 - inside), played * (1 - inside)], axis=1)
            found.append(
                Preference(
                    author,
                    group,
                    clusters.estimate(_share, values, n),
                    clusters.estimate(_difference, values, n),
                )
            )
    return found


def _share(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _difference(sums: Floats) -> Floats:
    return np.asarray(sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])


def labels(comparisons: Comparisons, groups: Mapping[str, set[int]]) -> Ints:
    """(C,): the number of each comparison's rater's group among `groups`, -1 for none."""
    number = {rater: k for k, of in enumerate(groups.values()) for rater in of}
    return np.array([number.get(rater, -1) for rater in comparisons.rater.tolist()], np.int64)
