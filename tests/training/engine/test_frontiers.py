import pytest

from training.engine.rl.frontiers import at_kl, root

EVALUATIONS = [{"kl": 0.25, "reward": 1.0}, {"kl": 2.25, "reward": 3.0}, {"kl": 1.0, "reward": 9.0}]


@pytest.mark.parametrize(
    ("kl", "reward"), [(0.0, 1.0), (0.25, 1.0), (1.0, 2.0), (2.25, 3.0), (2.5, None)]
)  # before the first look it is the first one's, between two on the line in √KL, beyond the last there is none
def test_a_measure_at_a_kl_is_read_where_the_run_first_passes_it(kl, reward):
    assert at_kl(EVALUATIONS, kl, "reward") == (pytest.approx(reward) if reward is not None else None)


def test_looks_at_one_kl_and_estimates_below_nothing_divide_by_no_zero():
    assert at_kl([{"kl": -1e-7, "reward": 1.0}, {"kl": 0.0, "reward": 2.0}], 0.0, "reward") == 1.0
    assert root(-1e-7) == 0
