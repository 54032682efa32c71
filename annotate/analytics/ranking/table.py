"""Standings: who is preferred to whom, with intervals. From comparisons to what the page shows; pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from django.utils.translation import gettext as _
from numpy.linalg import LinAlgError
from scipy.special import expit
from scipy.stats import norm
from scipy.stats import t as student

from annotate.analytics.comparisons import Floats, Ints
from annotate.analytics.ranking import bradley_terry, davidson, intervals, plackett_luce
from annotate.analytics.ranking.graph import connection, ties_keep_the_order, wins
from annotate.analytics.ranking.newton import STEPS
from annotate.analytics.ranking.votes import Fit, Votes
from core.statistics.bootstrap import FEWEST, estimate

# Where some author never loses (or never wins) no maximum of the likelihood exists.
WEAK_PRIOR = 1.0

FITS = {"bradley-terry": bradley_terry.fit, "davidson": davidson.fit}


@dataclass(frozen=True)
class Rankings:
    """Whole rankings of items by number, their ranks, and the task of each, numbered from 0."""

    items: Sequence[Sequence[int]]
    ranks: Sequence[Sequence[int]]
    cluster: Ints
    weight: Floats


@dataclass(frozen=True)
class RankedItem:
    """One item's standing. strength: natural log of the worth, 0 the average of its part; chance: to be preferred
    to an average item, ties left out. low and high are 95 %; None where one task says nothing about chance."""

    item: int
    name: str
    strength: float
    low: float | None
    high: float | None
    chance: float
    rank: int
    rank_low: int
    rank_high: int
    votes: float
    wins: float


@dataclass(frozen=True)
class Effect:
    name: str
    value: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Part:
    """Items that the votes tie together. `items` are their numbers in the order of the fit."""

    places: list[RankedItem]
    items: Ints
    fit: Fit
    wins: Floats
    effects: list[Effect]
    votes: int
    tasks: int


@dataclass(frozen=True)
class Standings:
    """parts: the largest first; notes: what the reader must know; missing: why there is nothing yet."""

    parts: list[Part]
    notes: list[str]
    missing: str = ""


def standings(
    votes: Votes,
    names: Sequence[str],
    *,
    model: str = "davidson",
    rankings: Rankings | None = None,
    bootstrap: bool = False,
) -> Standings:
    """Fit each part of the graph of votes on its own.

    model: a key of FITS, or "plackett-luce", which needs `rankings`; names: n words for the items.
    """
    if missing := not_yet(votes, names):
        return Standings([], [], missing)
    linked = connection(votes)
    notes = []
    if linked.separated:
        notes.append(
            _(
                "Somebody here never lost, or never won, so the likelihood has no maximum. Everybody was given one "
                "more vote against an imagined average, half won and half lost; strengths at the ends say little."
            )
        )
    if linked.parts > 1:
        notes.append(
            _(
                "The comparisons fall into %(n)d parts that were never compared with each other. Each part has a table "
                "of its own; strengths of different parts cannot be compared. Pair responses across the parts."
            )
            % {"n": linked.parts}
        )
    parts, ordered = [], False
    for number in range(linked.parts):
        items = np.flatnonzero(linked.part == number)
        if len(items) > 1:
            own, own_rankings = within(votes, items), rankings and _rankings_within(rankings, items, votes.n)
            fit, without_upset = _fitted(own, model, own_rankings, separated=linked.separated)
            ordered = ordered or without_upset
            parts.append(_part(own, items, names, fit, None if own_rankings or not bootstrap else FITS[model]))
    if ordered:
        notes.append(
            _(
                "Ties aside, no vote here upsets the order, so the likelihood has no maximum. Everybody was given one "
                "more vote against an imagined average, half won and half lost; how far apart they are says little."
            )
        )
    return Standings(parts, notes)


def _fitted(votes: Votes, model: str, rankings: Rankings | None, *, separated: bool) -> tuple[Fit, bool]:
    """The fit of a part, and whether it has the prior because no vote upsets the order, ties aside."""
    fit: Callable[..., Fit] = (
        partial(FITS[model], votes)
        if rankings is None
        else partial(
            plackett_luce.fit, votes.n, rankings.items, rankings.ranks, rankings.cluster, weight=rankings.weight
        )
    )
    if separated:
        return fit(prior=WEAK_PRIOR), False
    if model == "bradley-terry":
        return fit(), False
    found = None if ties_keep_the_order(votes) else _maximum(fit)
    return (fit(prior=WEAK_PRIOR), True) if found is None else (found, False)


def _maximum(fit: Callable[[], Fit]) -> Fit | None:
    """The fit without a prior, or None where the likelihood has no maximum: of whole rankings, whose ties of three or
    more have shares of their own, only the fit itself finds out."""
    try:
        found = fit()
    except LinAlgError:
        return None
    return found if found.iterations < STEPS else None


def not_yet(votes: Votes, names: Sequence[str]) -> str:
    """Why there can be no standings, or nothing."""
    if not len(names):
        return _("Not yet, because no two responses have been compared.")
    if len(names) == 1:
        return _("Not yet, because every response that was compared is by one author, %(name)s.") % {"name": names[0]}
    if not len(votes):
        return _("Not yet, because no two of them have been compared.")
    if votes.ties == 1:
        return _("Not yet, because every answer is a tie: nothing tells them apart.")
    return ""


def within(votes: Votes, items: Ints) -> Votes:
    """The votes on these items, numbered anew."""
    number = np.full(votes.n, -1)
    number[items] = np.arange(len(items))
    kept = votes[number[votes.left] >= 0]
    return replace(
        kept,
        n=len(items),
        left=number[kept.left],
        right=number[kept.right],
        cluster=np.unique(kept.cluster, return_inverse=True)[1],
    )


def _rankings_within(rankings: Rankings, items: Ints, n: int) -> Rankings:
    number = np.full(n, -1)
    number[items] = np.arange(len(items))
    kept = [row for row, of in enumerate(rankings.items) if number[of[0]] >= 0]
    return Rankings(
        [number[list(rankings.items[row])].tolist() for row in kept],
        [rankings.ranks[row] for row in kept],
        np.unique(rankings.cluster[kept], return_inverse=True)[1],
        rankings.weight[kept],
    )


def _part(
    votes: Votes,
    items: Ints,
    names: Sequence[str],
    fit: Fit,
    drawn_by: Callable[..., Fit] | None,
) -> Part:
    """drawn_by: intervals by bootstrap of this model of pairs, instead of from the fit's covariance."""
    tasks = int(votes.cluster.max()) + 1
    reach = float(student.ppf(0.975, tasks - 1)) if tasks > 1 else None
    lows, highs = _interval(fit, votes.n, reach)
    if drawn_by and tasks < FEWEST:
        reach = None
    elif drawn_by:
        drawn = intervals.bootstrap(votes, drawn_by, prior=fit.prior)
        found = [estimate(float(fit.strengths[k]), drawn[:, k], tasks, tasks) for k in range(votes.n)]
        lows, highs = (np.array([getattr(one, end) for one in found], dtype=float) for end in ("low", "high"))
    table, ranks = wins(votes), intervals.ranks(fit)
    played = table.sum(axis=1) + table.sum(axis=0)
    places = [
        RankedItem(
            item=int(items[k]),
            name=names[items[k]],
            strength=float(fit.strengths[k]),
            low=float(lows[k]) if reach else None,
            high=float(highs[k]) if reach else None,
            chance=float(expit(fit.strengths[k])),
            rank=int(ranks.rank[k]),
            rank_low=int(ranks.low[k]) if reach else 1,
            rank_high=int(ranks.high[k]) if reach else votes.n,
            votes=float(played[k]),
            wins=float(table[k].sum()),
        )
        for k in np.argsort(ranks.rank)
    ]
    return Part(places, items, fit, table, _effects(fit, votes.n), round(float(votes.weight.sum())), tasks)


def _interval(fit: Fit, n: int, reach: float | None) -> tuple[Floats, Floats]:
    around = (reach or 0.0) * fit.spread[:n]
    return fit.strengths - around, fit.strengths + around


def _effects(fit: Fit, n: int) -> list[Effect]:
    reach = float(norm.ppf(0.975))
    return [
        Effect(name, float(value), float(value - reach * spread), float(value + reach * spread))
        for name, value, spread in zip(fit.names, fit.effects, fit.spread[n:], strict=True)
    ]
