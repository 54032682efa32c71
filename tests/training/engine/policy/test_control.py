"""Which look is kept, and when a run stops: pure functions, on looks made up by hand."""

import numpy as np

from training.engine.rl.control import below_diversity_floor, best, exceeds_max_kl, over_optimized
from training.engine.rl.evaluator import halves
from training.engine.rl.rollouts import shuffled_batch
from training.engine.rl.sequential_test import ALPHA, has_fallen
from training.engine.rl.state import EvalResult

NOISE = np.random.default_rng(0).normal(size=(12, 32))


def evaluation(step, reward, guard, kl=1.0, *, reported=None, noise=0.1):
    """A look whose selection half is given; the reported half is the same unless it is given, too."""
    guards = (guard + noise * NOISE[step // 10]).tolist() if guard is not None else []
    figures = {"reward": reward, "kl": kl, "distinct_2": 1.0} | ({"guard_reward": guard} if guards else {})
    return EvalResult(step, ["a", "b"], [reward, reward], guards, {**figures, **(reported or {})}, figures)


def test_the_guard_decides_which_is_kept_within_the_budget():
    evaluations = [
        evaluation(0, 0.0, 0.0, kl=0.0),
        evaluation(10, 1.0, 0.5),
        evaluation(20, 2.0, 0.9, kl=9.0),
        evaluation(30, 3.0, 0.2),
    ]
    assert best(evaluations, 0).step == 20
    assert best(evaluations, 5.0).step == 10
    assert (
        best([evaluation(0, 0.0, None, kl=0.0), evaluation(10, 1.0, None), evaluation(20, 2.0, None, kl=9.0)], 5.0).step
        == 10
    )
    assert best([evaluation(0, 0.0, None, kl=0.0), evaluation(10, 1.0, None, kl=9.0)], 5.0).step == 0
    assert exceeds_max_kl(evaluations[:3], 5.0)
    assert not exceeds_max_kl(evaluations, 5.0)
    assert not exceeds_max_kl(evaluations, 0.0)


def test_the_half_that_is_reported_selects_nothing_but_the_limits_hold_on_it():
    evaluations = [
        evaluation(0, 0.0, 0.0, kl=0.0),
        evaluation(10, 1.0, 0.5),
        evaluation(20, 2.0, 0.4, reported={"guard_reward": 99.0}),
    ]
    assert best(evaluations, 0).step == 10
    evaluations.append(evaluation(30, 3.0, 0.9, reported={"kl": 6.0}))
    assert best(evaluations, 0).step == 30
    assert best(evaluations, 5.0).step == 10
    assert exceeds_max_kl(evaluations, 5.0)
    evaluations[-1].figures.update(kl=1.0, distinct_2=0.5)
    assert best(evaluations, 5.0, floor=0.8).step == 10
    assert below_diversity_floor(evaluations, 0.8)


def test_a_policy_that_says_little_is_neither_kept_nor_gone_on_with():
    evaluations = [evaluation(0, 0.0, 0.0), evaluation(10, 1.0, 0.5), evaluation(20, 2.0, 0.9)]
    for one, variety in zip(evaluations, (0.5, 0.41, 0.39), strict=True):
        one.figures["distinct_2"] = one.selection["distinct_2"] = variety
    assert best(evaluations, 0).step == 20
    assert best(evaluations, 0, floor=0.8).step == 10
    assert best(evaluations, 0, floor=0.99).step == 0
    assert below_diversity_floor(evaluations, 0.8)
    assert not below_diversity_floor(evaluations[:2], 0.8)
    assert not below_diversity_floor(evaluations, 0.0)


def test_over_optimisation_is_a_falling_guard_under_a_rising_reward():
    start = [evaluation(0, 0.0, 0.0), evaluation(10, 1.0, 1.0), evaluation(20, 1.5, 1.0)]
    assert over_optimized([*start, evaluation(30, 2.0, 0.0), evaluation(40, 3.0, -0.1)])
    assert not over_optimized([*start, evaluation(30, 2.0, 0.0)])  # one look alone is not enough
    assert not over_optimized([*start, evaluation(30, 2.0, 1.1), evaluation(40, 3.0, 1.0)])
    # Both fall: that is no over-optimisation.
    assert not over_optimized([*start, evaluation(30, -0.5, 0.0), evaluation(40, -0.6, -0.1)])
    assert not over_optimized([*start, evaluation(30, 2.0, None), evaluation(40, 3.0, None)])


def test_a_fall_within_the_noise_is_no_over_optimisation():
    falling = (0.0, 1.0, 1.0, 0.8, 0.8)
    assert over_optimized([evaluation(10 * n, n, guard) for n, guard in enumerate(falling)])
    assert not over_optimized([evaluation(10 * n, n, guard, noise=2.0) for n, guard in enumerate(falling)])


def test_healthy_runs_are_rarely_stopped_however_long_they_are():
    """bench/over_optimization.py measures more lengths. Comparing with the best look so far would stop most of them."""
    rng, rewards = np.random.default_rng(1), np.arange(40.0)
    runs = rng.normal(size=(100, 40, 32))
    stopped = sum(any(has_fallen(run[:k], rewards[:k]) for k in range(4, 41)) for run in runs)
    # With a rate of ALPHA, more than 11 of 100 would be stopped once in two hundred times.
    assert stopped <= 11
    assert ALPHA == 0.05
    falling = runs[:20] - 0.1 * np.maximum(0, np.arange(40) - 10)[:, None]
    assert sum(has_fallen(run, rewards) for run in falling) == 20


def test_evaluations_of_one_prompt_or_without_noise():
    rewards = np.arange(4.0)
    assert not has_fallen(np.array([[3.0], [3.0], [0.0], [0.0]]), rewards)
    assert not has_fallen(np.ones((4, 8)), rewards)
    assert has_fallen(np.array([[3.0] * 8] * 2 + [[0.0] * 8] * 2), rewards)


def test_equal_prompts_are_in_one_half():
    prompts = [f"{n % 5}" for n in range(20)]
    selection, reported = halves(prompts)
    assert sorted(selection + reported) == list(range(20))
    assert not {prompts[n] for n in selection} & {prompts[n] for n in reported}
    assert (len(selection), len(reported)) == (8, 12)
    assert halves(["only"]) == ([0], [0])


def test_prompts_are_dealt_out_to_the_end_before_any_comes_again():
    items = [str(n) for n in range(10)]
    steps = [shuffled_batch(items, step, 4, seed=3) for step in range(5)]
    flat = [item for step in steps for item in step]
    assert sorted(flat) == sorted(items * 2)
    assert sorted(flat[:10]) == items
    assert steps != [shuffled_batch(items, step, 4, seed=4) for step in range(5)]
    assert shuffled_batch(["only"], 7, 3, seed=0) == ["only"] * 3
