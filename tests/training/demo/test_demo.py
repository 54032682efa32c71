import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.demo import corpus, raters

PROMPT = "My radio arrived damaged. What can I do?"
BEST = "I am so sorry about your radio. We will send you a new radio today."


def test_prompts_are_different_and_always_the_same():
    assert len(set(corpus.prompts(400))) == 400
    assert corpus.prompts(5) == corpus.prompts(400)[:5]
    with pytest.raises(ValueError, match="960"):
        corpus.prompts(961)


def test_documents_answer_well_and_badly():
    worth = [raters.quality(prompt, response) for prompt, response in corpus.documents(500)]
    assert min(worth) < 0.1
    assert max(worth) > 0.9


def test_each_virtue_counts():
    ladder = [
        BEST,
        "I am so sorry about your radio. We will send you a new radio.",
        "Hello, this is the shop. We will see what we can do about that.",
        "That is not our problem. It is your own fault. Stop bothering us with your lamp.",
    ]
    worth = [raters.quality(PROMPT, text) for text in ladder]
    assert worth == sorted(worth, reverse=True)
    assert len(set(worth)) == len(worth)


def test_repetition_and_word_salad_do_not_pay():
    assert raters.quality(PROMPT, f"{BEST} {BEST} {BEST}") < raters.quality(PROMPT, BEST) / 2
    assert raters.quality(PROMPT, "sorry radio new today refund sorry radio today refund you") < 0.3


@given(st.text(max_size=200), st.text(max_size=400))
def test_any_text_has_a_quality(prompt, response):
    assert 0 <= raters.quality(prompt, response) <= 1


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.floats(0, 1))
def test_ranks_are_dense_and_follow_the_utilities(utilities, tie_below):
    ranks = raters.dense_ranks(utilities, tie_below)
    assert set(ranks) == set(range(1, max(ranks) + 1))
    for (u, r), (v, s) in itertools.combinations(zip(utilities, ranks, strict=True), 2):
        assert not (u > v and r > s)


def test_a_careful_rater_prefers_the_better_text_and_a_lazy_one_does_not_read():
    texts, rng = ["That is not our problem.", BEST], random.Random(0)
    careful = raters.SimulatedRater("careful", noise=0.05, laziness=0)
    assert careful.rank(PROMPT, texts, rng) == [2, 1]
    assert careful.score(PROMPT, BEST, 1, 5, rng) > careful.score(PROMPT, texts[0], 1, 5, rng)
    lazy = raters.SimulatedRater("lazy", laziness=1)
    assert {tuple(lazy.rank(PROMPT, texts, rng)) for _ in range(40)} == {(1, 2), (2, 1)}


def test_a_crowd_is_the_same_for_its_seed():
    assert raters.crowd(7, 1) == raters.crowd(7, 1) != raters.crowd(7, 2)
    assert len({rater.name for rater in raters.crowd(7, 1)}) == 7
