"""Ranking models: against choix, against general optimisers, and by hand."""

from itertools import combinations

import choix
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from annotate.analytics.ranking import bradley_terry, davidson, intervals, plackett_luce
from annotate.analytics.ranking.graph import connection
from annotate.analytics.ranking.votes import counted, votes_of


def simulated(n=8, size=1500, *, nu=0.0, seed=0, tasks=None, position=0.0):
    """Votes of Davidson's model with strengths of standard deviation 1; returns the strengths and the votes."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(size=n)
    strengths -= strengths.mean()
    left = rng.integers(n, size=size)
    right = (left + rng.integers(1, n, size=size)) % n
    d = strengths[left] - strengths[right] + position
    odds = np.stack([np.exp(d / 2), np.exp(-d / 2), np.full(size, nu)])
    drawn = (rng.random(size) < np.cumsum(odds / odds.sum(axis=0), axis=0)).argmax(axis=0)
    cluster = None if tasks is None else rng.integers(tasks, size=size)
    controls = np.ones((size, 1)) if position else None
    outcome = np.array([1.0, 0.0, 0.5])[drawn]
    names = ("position",) if position else ()
    return strengths, votes_of(n, left, right, outcome, cluster=cluster, controls=controls, names=names)


def log_likelihood(log_probabilities, votes):
    """Minus the log-likelihood as a function of strengths and tie parameter, written down without derivatives."""

    def value(at):
        d = at[votes.left] - at[votes.right]
        left, right, tie = log_probabilities(d, at[-1])
        output = np.where(votes.outcome == 1, left, np.where(votes.outcome == 0, right, tie))
        return -output.sum()

    return value


def test_bradley_terry_is_choix():
    _, votes = simulated()
    won = [(a, b) if y else (b, a) for a, b, y in zip(votes.left, votes.right, votes.outcome, strict=True)]
    assert bradley_terry.fit(votes).strengths == pytest.approx(choix.mm_pairwise(8, won, tol=1e-12), abs=1e-8)


def test_plackett_luce_is_choix():
    rng = np.random.default_rng(1)
    strengths = rng.normal(size=6)
    rankings = []
    for _ in range(300):
        items = rng.permutation(6)[:4]
        noise = rng.gumbel(size=4)
        rankings.append(items[np.argsort(-(strengths[items] + noise))].tolist())
    fit = plackett_luce.fit(6, rankings, [[1, 2, 3, 4]] * 300, np.arange(300))
    assert fit.strengths == pytest.approx(choix.mm_rankings(6, rankings, tol=1e-12), abs=1e-8)
    assert fit.tie is None


@pytest.mark.parametrize("model", [bradley_terry, davidson])
def test_a_weak_prior_is_no_slow_way_to_its_maximum(model):
    _, votes = simulated(n=8, size=300, nu=0.7)
    fit = model.fit(votes, prior=1e-3)
    assert fit.iterations < 12
    # The maximum lies where it is whatever the start: items beaten by all pull the mean, which the prior holds.
    lopsided = votes_of(3, np.array([0, 0, 1, 0]), np.array([1, 2, 2, 1]), np.ones(4))

    def posterior(at):
        d = at[lopsided.left] - at[lopsided.right]
        return -(np.log(expit(d)).sum() + 0.5 * np.log(expit(at) * expit(-at)).sum())

    best = minimize(posterior, np.zeros(3), tol=1e-12).x
    assert model.fit(lopsided, prior=1.0).strengths == pytest.approx(best - best.mean(), abs=1e-5)


def davidson_probabilities(d, tie):
    odds = np.stack([d / 2, -d / 2, np.full(len(d), tie)])
    return odds - logsumexp(odds, axis=0)


def test_davidson_is_the_maximum_of_its_likelihood():
    _, votes = simulated(n=5, size=600, nu=0.7)
    fit = davidson.fit(votes)
    value = log_likelihood(davidson_probabilities, votes)
    found = minimize(
        value, np.append(np.zeros(5), 0.4), method="Nelder-Mead", options={"maxfev": 20_000, "fatol": 1e-9}
    )
    assert value(np.append(fit.strengths, fit.tie)) == pytest.approx(-fit.log_likelihood)
    assert value(np.append(fit.strengths, fit.tie)) <= found.fun + 1e-6
    assert fit.strengths == pytest.approx(found.x[:5] - found.x[:5].mean(), abs=2e-3)


def test_rankings_of_two_are_davidsons_pairs():
    _, votes = simulated(nu=0.7, tasks=300)
    pairs = np.stack([votes.left, votes.right], axis=1).tolist()
    ranks = [{1.0: [1, 2], 0.0: [2, 1], 0.5: [1, 1]}[y] for y in votes.outcome]
    whole, paired = plackett_luce.fit(8, pairs, ranks, votes.cluster), davidson.fit(votes)
    assert whole.strengths == pytest.approx(paired.strengths, abs=1e-9)
    assert whole.covariance == pytest.approx(paired.covariance, abs=1e-9)
    assert whole.tie == pytest.approx(paired.tie)


def test_a_ranking_with_a_tie_by_hand():
    # A chosen alone out of three, then B and C tied: with equal strengths the first choice has odds 1 of 3 + 3·δ
    # (three pairs may tie), the second δ of 2 + δ.
    def likelihood(delta):
        return np.log(1 / (3 + 3 * delta)) + np.log(delta / (2 + delta))

    fit = plackett_luce.fit(3, [[0, 1, 2], [1, 2, 0], [2, 0, 1]], [[1, 2, 2]] * 3, np.arange(3))
    best = max(np.linspace(0.1, 10, 10_000), key=likelihood)
    assert fit.strengths == pytest.approx([0, 0, 0], abs=1e-9)
    assert np.exp(fit.tie) == pytest.approx(best, abs=1e-3)


@pytest.mark.slow
def test_whole_rankings_with_ties_are_the_maximum_of_their_likelihood():
    """ImportedResponse down choice by choice, over all sets that might have been chosen, without derivatives."""
    rng = np.random.default_rng(2)
    # Now and then an item stands in a ranking twice: two responses by one author.
    items = [rng.permutation(5)[:4] if k % 5 else rng.integers(5, size=4) for k in range(80)]
    worth = np.linspace(0, 1.5, 5)
    ranks = [np.unique(-np.round(worth[of] + rng.gumbel(size=4)), return_inverse=True)[1] + 1 for of in items]
    orders = sorted({int((of == place).sum()) for of in ranks for place in set(of.tolist())} - {1})
    assert orders == [2, 3, 4]

    def cost(at):
        theta, delta = at[:5], dict(zip([1, *orders], [0.0, *at[5:]], strict=True))
        total = 0.0
        for of, places in zip(items, ranks, strict=True):
            for place in range(1, places.max() + 1):
                left, chosen = of[places >= place], of[places == place]
                if len(left) == 1:
                    continue
                sets = [some for m in delta for some in combinations(left.tolist(), m)]
                odds = [delta[len(some)] + theta[list(some)].mean() for some in sets]
                total -= delta[len(chosen)] + theta[chosen].mean() - logsumexp(odds)
        return total

    fit = plackett_luce.fit(5, [of.tolist() for of in items], [of.tolist() for of in ranks], np.arange(80))
    found = minimize(cost, np.zeros(5 + len(orders)), method="BFGS")
    assert -fit.log_likelihood == pytest.approx(found.fun, abs=1e-6)
    assert fit.strengths == pytest.approx(found.x[:5] - found.x[:5].mean(), abs=1e-3)


def test_votes_are_counted_without_changing_what_they_say():
    _, votes = simulated(nu=0.5)
    rows = counted(votes)
    assert len(rows) < len(votes)
    assert rows.weight.sum() == len(votes)
    assert (rows.left < rows.right).all()
    assert rows.ties == pytest.approx(votes.ties)


def test_the_place_on_the_screen_is_an_effect_of_its_own():
    strengths, votes = simulated(size=20_000, position=0.8)
    fit = bradley_terry.fit(votes)
    assert abs(fit.effects[0] - 0.8) < 3 * fit.spread[-1] < 0.2
    assert fit.strengths == pytest.approx(strengths, abs=0.15)


def test_the_sandwich_knows_that_votes_of_a_task_are_alike():
    _, votes = simulated(n=4, size=400)
    ten_times = votes_of(
        4,
        *(np.repeat(of, 10) for of in (votes.left, votes.right, votes.outcome)),
        cluster=np.repeat(np.arange(400), 10),
    )
    once, alike = bradley_terry.fit(votes), bradley_terry.fit(ten_times)
    assert alike.spread == pytest.approx(once.spread, rel=1e-6)
    drawn = intervals.bootstrap(votes, bradley_terry.fit, prior=0.0, draws=300)
    assert drawn.std(axis=0) == pytest.approx(once.spread, rel=0.2)


def test_ranks_have_intervals():
    # Two groups far apart; within a group nobody is told from the other.
    left, right, outcome = np.repeat([0, 2, 0, 1], 200), np.repeat([1, 3, 2, 3], 200), np.tile([1.0, 0.0], 400)
    outcome[400:] = np.tile([1.0] * 9 + [0.0], 40)
    ranks = intervals.ranks(bradley_terry.fit(votes_of(4, left, right, outcome)))
    assert (ranks.low.tolist(), ranks.high.tolist()) == ([1, 1, 3, 3], [2, 2, 4, 4])


def test_the_graph_of_votes():
    votes = votes_of(5, np.array([0, 1, 3]), np.array([1, 2, 4]), np.array([1.0, 1.0, 0.5]))
    linked = connection(votes)
    assert (linked.part.tolist(), linked.separated) == ([0, 0, 0, 1, 1], True)
    back = votes_of(3, np.array([0, 1, 2]), np.array([1, 2, 0]), np.array([1.0, 1.0, 1.0]))
    assert (connection(back).parts, connection(back).separated) == (1, False)
