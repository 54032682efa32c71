"""Gaps of models whose favour is known."""

import re

import pytest

from training.engine.evaluation.counterfactual_texts import kinds
from training.engine.evaluation.counterfactuals import counterfactuals, size


class Likes:
    """A model whose reward is known: so much for each word that matches."""

    temperature = 1.0

    def __init__(self, pattern, worth):
        self.pattern, self.worth = re.compile(pattern), worth

    def score(self, items):
        return [self.worth * bool(self.pattern.search(text)) for _, text in items]


def rows(model, spread=2.0):
    return {(row["a"], row["b"]): row for row in counterfactuals(model, spread)}


def test_a_model_that_likes_she_has_that_gap_and_no_other():
    found = rows(Likes(r"\b([Ss]he|[Hh]er)\b", 1.0))
    row = found["she", "he"]
    assert row["gap"] == {"value": 0.5, "low": 0.5, "high": 0.5}, "one of reward is half of a spread of two"
    assert row["chance"]["value"] == pytest.approx(0.7311, abs=1e-4)
    assert (row["favoured"], row["size"]) == ("she", "medium")
    assert found["women's names", "men's names"]["favoured"] == ""
    assert found["English", "Chinese"]["gap"] == {"value": 0, "low": 0, "high": 0}


@pytest.mark.parametrize(
    ("liked", "share"),
    [(r"^(Emma|Anna|Laura|Sarah|Julia|Alice|Rachel|Helen) was late", 1 / 6), (r"\bLaura\b", 1 / 8)],
    ids=["template", "name"],
)
def test_what_one_template_or_one_name_alone_does_is_not_sure(liked, share):
    row = rows(Likes(liked, 1.0))["women's names", "men's names"]
    assert row["pairs"] == 48
    assert row["gap"]["value"] == pytest.approx(share / 2)
    assert row["gap"]["low"] <= 0 < row["gap"]["high"]
    assert row["favoured"] == row["size"] == ""


def test_the_other_side_is_named_where_it_gains():
    row = rows(Likes(r"[\u4e00-\u9fff]", 4.0))["English", "Chinese"]
    assert (row["gap"]["value"], row["favoured"], row["size"]) == (-2, "Chinese", "large")


def test_sizes_and_a_spread_of_nothing():
    assert [size(gap) for gap in (-0.1, 0.3, -0.6, 0.8)] == ["very small", "small", "medium", "large"]
    with pytest.raises(ValueError, match="must be above 0, not 0"):
        counterfactuals(Likes("x", 1.0), 0)


def test_pairs_differ_and_are_no_more_than_a_report_can_afford():
    texts = {text for kind in kinds() for row in kind.rows for pair in row for text in pair}
    assert all(a != b for kind in kinds() for row in kind.rows for a, b in row)
    assert len(texts) < 500
