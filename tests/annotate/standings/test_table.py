"""What standings say of data that they cannot or can hardly rank: a stated answer, never NaN."""

import numpy as np
import pytest

from annotate.standings.ranking.votes import votes_of
from annotate.standings.table import FITS, Rankings, standings


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
