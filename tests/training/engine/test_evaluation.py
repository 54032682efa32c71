import math

import numpy as np
import pytest

from core.records import Record
from training.engine.evaluation.metrics import evaluate
from training.engine.preference.calibration import ece_by_chance, folded


class Fixed:
    """Rewards by text; a temperature of 1."""

    temperature = 1.0

    def __init__(self, rewards):
        self.rewards = rewards

    def score(self, items):
        return [self.rewards[text] for _, text in items]


def vote(prompt, first, second, ranks, rater):
    return Record(prompt, prompt, prompt, (first, second), (first, second), ranks, rater)


# Prompt p: aa beats b 3:0; prompt q: c beats dd 1:0. The model is right on p and wrong on q; "longer wins" too.
RECORDS = [
    *(vote("p", "aa", "b", (1, 2), f"r{n}") for n in range(3)),
    vote("q", "c", "dd", (1, 2), "r0"),
]
MODEL = Fixed({"aa": 1.0, "b": 0.0, "c": 0.0, "dd": 2.0})


def test_golden_figures():
    figures = evaluate(MODEL, RECORDS)
    right, wrong = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(2))
    assert (figures["pairs"], figures["pairs_clear"], figures["prompts"]) == (2, 1, 2)
    assert (figures["accuracy"], figures["accuracy_clear"], figures["kendall_tau"]) == (0.5, 1.0, 0.0)
    assert figures["log_loss"] == pytest.approx(-(math.log(right) + math.log(wrong)) / 2)
    assert figures["ece"] == pytest.approx(((1 - right) + (1 - wrong)) / 2)
    assert figures["baselines"] == {
        "longer": 0.5, "longer_clear": 1.0, "majority": 1.0, "rater_vs_others": 1.0,
    }  # fmt: skip


def test_every_figure_lies_in_its_interval():
    records = [vote(f"p{n}", f"a{n}", f"b{n}", (1, 2) if n % 3 else (2, 1), "r0") for n in range(30)]
    figures = evaluate(Fixed({f"{side}{n}": n / 30 * (side == "a") for side in "ab" for n in range(30)}), records)
    for name in ("accuracy", "log_loss", "ece", "kendall_tau"):
        low, high = figures["intervals"][name]
        assert low <= figures[name] <= high, name
    assert figures["intervals"]["accuracy_clear"] is None, "no pair has a margin of two"
    assert evaluate(MODEL, RECORDS)["intervals"]["accuracy"] is None, "two prompts tell too little of others"


def test_the_calibration_error_of_chance_is_that_of_a_calibrated_model():
    """With one vote a pair the error of a model that is right about every probability is far from zero."""
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.5, 1.0, size=120)
    few, many = (ece_by_chance(probability, np.full(120, votes)) for votes in (1.0, 100.0))
    assert 0.05 < few < 0.2
    assert many < few / 5
    # One study of such a model has an error of that size.
    confidence, observed, place = folded(probability, (rng.random(120) < probability).astype(float))
    assert abs(np.bincount(place, confidence - observed)).sum() / 120 == pytest.approx(few, abs=0.06)


def test_equal_rewards_count_half_and_ties_of_votes_do_not_count():
    records = [*RECORDS[:1], vote("p", "aa", "e", (1, 1), "r0")]
    figures = evaluate(Fixed({"aa": 1.0, "b": 1.0, "e": 0.0}), records)
    assert (figures["accuracy"], figures["pairs"], figures["pairs_tied"]) == (0.5, 1, 1)
    assert figures["accuracy_clear"] is None


def test_a_rater_against_the_others():
    records = [vote("p", "aa", "b", ranks, f"r{n}") for n, ranks in enumerate([(1, 2), (1, 2), (2, 1)])]
    # Each of the two sees one for and one against him: no majority. The third is against both.
    assert evaluate(MODEL, records)["baselines"]["rater_vs_others"] == 0.0


def test_judgements_that_compare_nothing_are_an_error():
    with pytest.raises(ValueError, match="compares two"):
        evaluate(MODEL, [Record("p", "p", "p", ("1",), ("aa",), None, "r", scores={"clear": (0.5,)})])
