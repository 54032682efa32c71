"""The named terms of a reward, their sum, and what a run says of a term that cannot be used."""

import math

import pytest
import torch

from training.engine.rl.rewards import MAX_CONSTANT_STEPS, Completions, PreferenceTerm, RewardConfig, RewardSum

WRITTEN = Completions(
    prompts=["Translate: le chat noir", "Capital of France?", "Positive or negative?"],
    texts=["the black cat", "It is Paris.", "Positive, I would say"],
    references=["the black cat", "Paris", "positive"],
    lengths=[4, 5, 6],
    log_reference=[-1.0, -2.0, -3.0],
)


def terms_of(*terms):
    return RewardSum.load(RewardConfig(terms=terms))(WRITTEN)


def test_the_sum_is_weighted_and_each_term_is_told_apart():
    total, terms = terms_of(("length", -0.1), ("fluency", 2.0))
    assert total.tolist() == pytest.approx([-2.4, -4.5, -6.6])
    assert terms["length"].tolist() == [4, 5, 6]
    assert terms["fluency"].tolist() == [-1, -2, -3]


def test_metrics_of_tasks_by_hand():
    assert terms_of(("exact_match", 1.0))[0].tolist() == [1, 0, 0]
    # "it is paris" against "paris": precision 1/3, recall 1.
    assert terms_of(("f1", 1.0))[0].tolist() == pytest.approx([1, 0.5, 2 * 1 / (4 + 1)])
    assert terms_of(("accuracy", 1.0))[0].tolist() == [1, 0, 1]
    for name in ("chrf", "bleu"):
        first, second, _ = terms_of((name, 1.0))[0].tolist()
        assert first == pytest.approx(1)
        assert 0 <= second < 0.8


def test_a_missing_reference_names_the_term_and_the_prompt():
    bare = Completions(["What?"], ["x"], [""], [1], [0.0])
    with pytest.raises(ValueError, match=r"'chrf' needs a reference.*What"):
        RewardSum.load(RewardConfig(terms=(("chrf", 1.0),)))(bare)


class TestFunctions:
    def test_a_function_by_its_dotted_path(self):
        reward = RewardSum.load(RewardConfig(function=f"{__name__}.shouting"))
        total, terms = reward(WRITTEN)
        assert total.tolist() == [0, 2, 2]
        assert set(terms) == {f"{__name__}.shouting"}

    @pytest.mark.parametrize("path", ["os", "no.such.module", "math.pi", f"{__name__}.missing"])
    def test_what_is_none(self, path):
        with pytest.raises(ValueError, match="reward function"):
            RewardSum.load(RewardConfig(function=path))

    def test_not_a_number_and_a_wrong_count_name_the_term(self):
        with pytest.raises(ValueError, match=r"broken.*gave nan to text 2 of a batch of 3"):
            RewardSum.load(RewardConfig(function=f"{__name__}.broken"))(WRITTEN)
        with pytest.raises(ValueError, match="gave 1 rewards for 3 texts"):
            RewardSum.load(RewardConfig(function=f"{__name__}.short"))(WRITTEN)
        for answer in ("silent", "chatty"):
            with pytest.raises(ValueError, match=rf"{answer}' must give a list of numbers, not"):
                RewardSum.load(RewardConfig(function=f"{__name__}.{answer}"))(WRITTEN)


def shouting(prompts, responses):
    return [float(sum(c.isupper() for c in text)) for text in responses]


def silent(prompts, responses):
    return None


def chatty(prompts, responses):
    return ["good" for _ in responses]


def broken(prompts, responses):
    return [1.0, math.nan, 2.0]


def short(prompts, responses):
    return [1.0]


def test_a_term_that_never_varies_stops_the_run_by_name():
    reward = RewardSum({}, None)
    for _ in range(MAX_CONSTANT_STEPS - 1):
        reward.check_variation({"kind": torch.tensor([3.0, 3.0]), "varied": torch.tensor([1.0, 2.0])})
    reward.check_variation({"kind": torch.tensor([3.0, 4.0])})
    for _ in range(MAX_CONSTANT_STEPS - 1):
        reward.check_variation({"kind": torch.tensor([3.0, 3.0])})
    with pytest.raises(ValueError, match=r"term 'kind' gave 3 to every sample of 5 consecutive steps"):
        reward.check_variation({"kind": torch.tensor([3.0, 3.0])})


class Members:
    """A preference model of three members, as far as a reward needs one."""

    temperature, centre = 1.0, 0.0

    def score_members(self, items):
        return [[1.0, 2.0, 6.0]] * len(items)


@pytest.mark.parametrize(
    ("how", "value"), [("mean", 3.0), ("worst", 1.0), ("uncertainty", 3.0 - 0.5 * math.sqrt(14 / 3))]
)
def test_members_of_an_ensemble_become_one_reward(how, value):
    assert PreferenceTerm([Members()], how, 0.5)(WRITTEN) == pytest.approx([value] * 3)


def test_several_models_are_brought_to_one_scale():
    a, b = Members(), Members()
    b.temperature, b.centre = 2.0, 3.0
    assert PreferenceTerm([a, b], "worst", 1.0)(WRITTEN) == pytest.approx([-1.0] * 3)
