"""Which look is kept, and when a run stops: pure functions, on looks made up by hand."""

from training.engine.policy.control import best, collapsed, over_budget, parted
from training.engine.policy.rollouts import dealt
from training.engine.policy.state import Look


def look(step, reward, guard, kl=1.0, spread=(0.1, -0.1)):
    guards = [guard + s for s in spread] if guard is not None else []
    figures = {"reward": reward, "kl": kl} | ({"guard_reward": guard} if guards else {})
    return Look(step, ["a", "b"], [reward, reward], guards, [kl, kl], figures)


def test_the_guard_decides_which_is_kept_within_the_budget():
    looks = [look(0, 0.0, 0.0, kl=0.0), look(10, 1.0, 0.5), look(20, 2.0, 0.9, kl=9.0), look(30, 3.0, 0.2)]
    assert best(looks, 0).step == 20
    assert best(looks, 5.0).step == 10
    assert best([look(0, 0.0, None, kl=0.0), look(10, 1.0, None), look(20, 2.0, None, kl=9.0)], 5.0).step == 10
    assert best([look(0, 0.0, None, kl=0.0), look(10, 1.0, None, kl=9.0)], 5.0).step == 0
    assert over_budget(looks[:3], 5.0)
    assert not over_budget(looks, 5.0)
    assert not over_budget(looks, 0.0)


def test_a_policy_that_says_little_is_neither_kept_nor_gone_on_with():
    looks = [look(0, 0.0, 0.0), look(10, 1.0, 0.5), look(20, 2.0, 0.9)]
    for one, variety in zip(looks, (0.5, 0.41, 0.39), strict=True):
        one.figures["distinct_2"] = variety
    assert best(looks, 0).step == 20
    assert best(looks, 0, floor=0.8).step == 10
    assert best(looks, 0, floor=0.99).step == 0
    assert collapsed(looks, 0.8)
    assert not collapsed(looks[:2], 0.8)
    assert not collapsed(looks, 0.0)


def test_parting_is_two_looks_of_falling_guard_under_rising_reward():
    start = [look(0, 0.0, 0.0), look(10, 1.0, 1.0)]
    assert parted([*start, look(20, 2.0, 0.0), look(30, 3.0, -0.1)])
    assert not parted([*start, look(20, 2.0, 1.1), look(30, 3.0, 0.0)])
    assert not parted([*start, look(20, 0.5, 0.0), look(30, 0.5, -0.1)])  # both fall: that is no over-optimisation
    assert not parted([*start, look(20, 2.0, None), look(30, 3.0, None)])


def test_a_fall_within_the_noise_is_no_parting():
    start = [look(0, 0.0, 0.0), look(10, 1.0, 1.0, spread=(2.0, -2.0))]
    assert not parted([*start, look(20, 2.0, 0.5), look(30, 3.0, 0.5)])


def test_prompts_are_dealt_out_to_the_end_before_any_comes_again():
    items = [str(n) for n in range(10)]
    steps = [dealt(items, step, 4, seed=3) for step in range(5)]
    flat = [item for step in steps for item in step]
    assert sorted(flat) == sorted(items * 2)
    assert sorted(flat[:10]) == items
    assert steps != [dealt(items, step, 4, seed=4) for step in range(5)]
    assert dealt(["only"], 7, 3, seed=0) == ["only"] * 3
