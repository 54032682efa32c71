"""What an answer would tell, by hand; and the order and the sample that are made of it."""

import math
from itertools import combinations

import numpy as np
import pytest

from training.engine.active_learning import selection


def test_members_that_contradict_each_other_are_asked_first_and_unsure_ones_not():
    result = selection.model_information(np.array([[0.0, 1.0], [0.5, 0.5], [0.9, 0.9], [0.2, 0.6]]))
    entropy = lambda p: -p * math.log(p) - (1 - p) * math.log(1 - p)  # noqa: E731
    assert result == pytest.approx([math.log(2), 0, 0, entropy(0.4) - (entropy(0.2) + entropy(0.6)) / 2])


def test_information_of_members_knows_no_sides_and_no_order_of_members():
    p = np.random.default_rng(0).uniform(size=(5, 4))
    assert selection.model_information(1 - p[:, ::-1]) == pytest.approx(selection.model_information(p))


def test_disagreement_by_hand():
    # ψ(x + 1) - ψ(x) = 1/x: three outcomes of 1/2 each give ψ(5/2) - ψ(3/2) = 2/3.
    split, none, agreed, ties = selection.disagreement(np.array([[1, 1, 0], [0, 0, 0], [2, 0, 0], [0, 0, 2]]))
    assert none == pytest.approx(2 / 3)
    assert split == pytest.approx(0.78095, abs=1e-5)
    assert agreed == pytest.approx(0.59047, abs=1e-5)
    assert ties == pytest.approx(agreed)
    many = selection.disagreement(np.array([[5000, 5000, 0], [5000, 0, 0]]))
    assert many == pytest.approx([math.log(2), 0], abs=0.01)


class TestGraphs:
    def test_two_responses_by_hand(self):
        graphs = selection.Graphs([(0, 1)], ["p", "p"], [])
        # Σ is the identity, an even comparison has the information 1/4: log(1 + 2/4) / 2.
        assert graphs.gain(0) == pytest.approx(math.log(1.5) / 2)
        graphs.take(0)
        # The variance of the difference fell from 2 to 2 - 4/4 / (1 + 2/4) = 4/3.
        assert graphs.gain(0) == pytest.approx(math.log(4 / 3) / 2)

    def test_what_connects_two_parts_comes_first(self):
        votes = [(0, 1, 0.5, 6.0), (2, 3, 0.5, 6.0)]
        graphs = selection.Graphs([(0, 1), (1, 2), (2, 3)], ["p"] * 4, votes)
        assert selection.best(graphs, ["a", "b", "c"], 1, np.random.default_rng(0)) == [1]

    def test_taking_is_what_judging_does_to_the_covariance(self):
        votes = [(0, 1, 0.8, 5.0), (1, 2, 0.4, 3.0)]
        graphs = selection.Graphs([(3, 0, 2)], ["p"] * 4, votes)
        strengths, before = graphs.state["p"]
        added = np.zeros((4, 4))
        for i, j in ((3, 0), (3, 2), (0, 2)):
            p = 1 / (1 + math.exp(strengths[j] - strengths[i]))
            e = np.eye(4)[i] - np.eye(4)[j]
            added += 2 / 3 * p * (1 - p) * np.outer(e, e)
        after = np.linalg.inv(np.linalg.inv(before) + added)
        gain = graphs.gain(0)
        graphs.take(0)
        assert graphs.state["p"][1] == pytest.approx(after)
        assert gain == pytest.approx(math.log(np.linalg.det(before) / np.linalg.det(after)) / 2)

    def test_the_order_of_responses_and_other_prompts_change_nothing(self):
        votes = [(0, 1, 0.7, 4.0)]
        one = selection.Graphs([(0, 1, 2)], ["p"] * 3, votes)
        other = selection.Graphs([(2, 0, 1)], ["p"] * 3 + ["q"] * 2, [*votes, (3, 4, 1.0, 9.0)])
        assert one.gain(0) == pytest.approx(other.gain(0))

    def test_strengths_are_the_most_probable_ones(self):
        strengths, covariance = selection.bradley_terry(2, [(0, 1, 0.9, 10.0)])
        t = strengths[0]
        assert strengths[1] == pytest.approx(-t)
        p = 1 / (1 + math.exp(-2 * t))
        assert 10 * (0.9 - p) == pytest.approx(t / selection.SPREAD**2)
        assert covariance[0, 0] == pytest.approx(covariance[1, 1])


class TestBest:
    def test_a_prompt_is_not_asked_again_and_again(self):
        rule = selection.Scores(np.array([10.0, 9.0, 6.0]), ["p", "p", "q"])
        assert selection.best(rule, range(3), 3, np.random.default_rng(0)) == [0, 2, 1]

    def test_the_same_texts_are_asked_once(self):
        rule = selection.Scores(np.array([3.0, 2.0, 1.0]), ["p", "q", "r"])
        assert selection.best(rule, ["x", "x", "y"], 3, np.random.default_rng(0)) == [0, 2]

    def test_lazy_or_not_it_is_the_greedy_order(self):
        rng = np.random.default_rng(1)
        sets = [(first + a, first + b) for first in (0, 6) for a, b in combinations(range(6), 2)]
        votes = [(a, b, rng.uniform(), rng.uniform(0, 5)) for a, b in sets]
        prompts = ["p"] * 6 + ["q"] * 6
        plain, left, expected = selection.Graphs(sets, prompts, votes), set(range(len(sets))), []
        while left:
            expected.append(max(plain.gain(n) for n in left))
            top = max(left, key=plain.gain)
            plain.take(top)
            left.discard(top)
        lazy, gains = selection.Graphs(sets, prompts, votes), []
        again = selection.Graphs(sets, prompts, votes)
        for n in selection.best(lazy, range(len(sets)), len(sets), np.random.default_rng(0)):
            gains.append(again.gain(n))
            again.take(n)
        assert gains == pytest.approx(expected)


class TestSample:
    ORDER = ["5", "1", "9", "3", "7"]

    def test_it_is_the_first_places_of_the_random_order(self):
        assert selection.sample(self.ORDER, [False] * 5, [True] * 5, 2) == [1, 3]

    def test_what_was_judged_for_other_reasons_belongs_to_it_at_no_cost(self):
        fresh = [True, False, True, True, True]
        assert selection.sample(self.ORDER, [False] * 5, fresh, 2) == [1, 3, 0]

    def test_it_grows_and_takes_in_what_came_later(self):
        drawn = [False, False, False, True, False]  # "1" is new since "3" was drawn
        assert selection.sample(self.ORDER, drawn, [True] * 5, 1) == [1, 3]
        assert selection.sample(self.ORDER, drawn, [True] * 5, 9) == [1, 3, 0, 4, 2]


def test_each_stretch_of_the_order_holds_its_share_of_chance():
    order = selection.mixed([f"rule {n}" for n in range(40)], [f"chance {n}" for n in range(10)])
    assert [name for name in order if name.startswith("rule")] == [f"rule {n}" for n in range(40)]
    for end in range(1, 51):
        assert abs(sum(name.startswith("chance") for name in order[:end]) - end / 5) <= 1


def test_shares_and_texts():
    assert [selection.random_part(10, share) for share in (0, 0.01, 0.2, 1)] == [0, 1, 2, 10]
    assert selection.alike("Yes,  it IS!") == selection.alike("yes it is") != selection.alike("yes it isn't")
    assert selection.alike("!!") != selection.alike("?")
