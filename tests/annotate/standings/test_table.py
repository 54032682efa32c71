"""What standings say of data that they cannot or can hardly rank: a stated answer, never NaN."""

import numpy as np
import pytest

from annotate.analytics.ranking.graph import ties_keep_the_order
from annotate.analytics.ranking.table import FITS, Rankings, standings
from annotate.analytics.ranking.votes import votes_of


def votes(*rows, cluster=None):
    """Rows (left, right, outcome); each a task of its own unless said otherwise."""
    left, right, outcome = (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.array([])] * 3
    n = int(max(left.max(), right.max())) + 1 if rows else 0
    return votes_of(n, left, right, outcome.astype(float), cluster=cluster)


def rankings(of):
    pairs = np.stack([of.left, of.right], axis=1).tolist()
    ranks = [{1.0: [1, 2], 0.0: [2, 1], 0.5: [1, 1]}[y] for y in of.outcome]
    return Rankings(pairs, ranks, of.cluster, of.weight)


@pytest.fixture(params=[*FITS, "plackett-luce"])
def rank(request):
    def rank(of, names):
        whole = rankings(of) if request.param == "plackett-luce" else None
        return standings(of, names, model=request.param, rankings=whole)

    return rank


def numbers(found):
    return [
        number
        for part in found.parts
        for place in part.places
        for number in (place.strength, place.low, place.high, place.chance)
        if number is not None
    ]


def test_nothing_to_rank(rank):
    assert "no two responses" in rank(votes(), []).missing
    assert "by one author, ada" in rank(votes(), ["ada"]).missing
    assert "every answer is a tie" in rank(votes((0, 1, 0.5), (1, 0, 0.5)), ["a", "b"]).missing


def test_somebody_who_never_loses(rank):
    found = rank(votes((0, 1, 1), (0, 2, 1), (1, 2, 1), (2, 1, 1)), ["best", "b", "c"])
    assert "never lost, or never won" in found.notes[0]
    assert found.parts[0].places[0].name == "best"
    assert np.isfinite(numbers(found)).all()
    assert abs(found.parts[0].places[0].strength) < 10


def test_an_order_that_nothing_but_ties_breaks(request, rank):
    """Wins and ties lead from everybody to everybody, and yet strengths further apart, with more ties, fit better."""
    rows = [(0, 1, 1), (0, 1, 0.5), (1, 2, 1), (1, 2, 0.5), (0, 2, 1), (0, 2, 1)]
    found = rank(votes(*rows), list("abc"))
    assert [place.name for place in found.parts[0].places] == ["a", "b", "c"]
    assert np.isfinite(numbers(found)).all()
    assert abs(found.parts[0].places[0].strength) < 10
    half_wins = request.node.callspec.params["rank"] == "bradley-terry"
    assert bool(found.notes) != half_wins
    # One upset, and there is a maximum.
    assert rank(votes(*rows, (2, 0, 1)), list("abc")).notes == []
    assert ties_keep_the_order(votes(*rows))
    assert not ties_keep_the_order(votes(*rows, (2, 0, 1)))
    # An upset between two of them bounds the share of ties, and that the third.
    assert not ties_keep_the_order(votes(*rows, (1, 0, 1)))


def test_rankings_in_which_three_always_tie():
    names, three = list("abcd"), [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2]]
    ranks = [[1, 1, 1, 2]] * 4
    pairs = [(of[a], of[b], 1.0 if b == 3 else 0.5) for of in three for a in range(4) for b in range(a + 1, 4)]
    whole = Rankings(three, ranks, np.arange(4), np.ones(4))
    found = standings(votes(*pairs), names, model="plackett-luce", rankings=whole)
    assert np.isfinite(numbers(found)).all()
    assert found.notes


def test_one_vote(rank):
    found = rank(votes((0, 1, 1)), ["a", "b"])
    assert np.isfinite(numbers(found)).all()
    # One task says nothing of how sure that is.
    assert found.parts[0].places[0].low is None
    assert (found.parts[0].places[0].rank_low, found.parts[0].places[0].rank_high) == (1, 2)


def test_a_graph_that_falls_apart(rank):
    rows = [(0, 1, 1), (0, 1, 0), (2, 3, 1), (3, 2, 1), (2, 3, 0.5), (3, 4, 1), (4, 3, 1)]
    found = rank(votes(*rows, cluster=np.arange(7)), list("abcde"))
    assert "2 parts" in found.notes[0]
    assert [{place.name for place in part.places} for part in found.parts] == [{"c", "d", "e"}, {"a", "b"}]
    assert np.isfinite(numbers(found)).all()


def test_a_place_that_always_goes_with_the_author_is_no_crash():
    of = votes((0, 1, 1), (0, 1, 1), (0, 1, 0))
    confounded = votes_of(2, of.left, of.right, of.outcome, controls=np.ones((3, 1)), names=("position",))
    found = standings(confounded, ["a", "b"])
    effect = found.parts[0].effects[0]
    assert effect.low < -5 < 5 < effect.high
    assert not effect.shown
