import math
from itertools import product

import pytest
import torch

from training.engine.objectives import losses


def test_equal_rewards_give_log_2():
    assert losses.bradley_terry(torch.zeros(3), torch.tensor([1.0, 0.0, 0.5])).item() == pytest.approx(math.log(2))


def test_bradley_terry_by_hand_with_weights():
    difference, target = torch.tensor([1.0, -2.0]), torch.tensor([1.0, 1.0])
    first, second = math.log(1 + math.exp(-1)), math.log(1 + math.exp(2))
    assert losses.bradley_terry(difference, target).item() == pytest.approx((first + second) / 2, rel=1e-6)
    weighted = losses.bradley_terry(difference, target, torch.tensor([3.0, 1.0])).item()
    assert weighted == pytest.approx((3 * first + second) / 4, rel=1e-6)


def test_the_gradient_of_bradley_terry_is_probability_minus_target():
    difference = torch.tensor([0.7], requires_grad=True)
    losses.bradley_terry(difference, torch.tensor([1.0])).backward()
    assert difference.grad.item() == pytest.approx(1 / (1 + math.exp(-0.7)) - 1, rel=1e-5)


def test_davidson_sums_to_one_and_ties_are_likeliest_between_equals():
    d = torch.tensor([-3.0, 0.0, 0.4])
    a, b, tie = (p.exp() for p in losses.davidson_log_probs(d, torch.tensor(0.3)))
    assert torch.allclose(a + b + tie, torch.ones(3))
    assert tie.argmax() == 1
    assert tie[1].item() == pytest.approx(math.exp(0.3) / (2 + math.exp(0.3)), rel=1e-5)


def test_davidson_without_ties_is_bradley_terry():
    a, _b, _tie = losses.davidson_log_probs(torch.tensor([0.5]), torch.tensor(-30.0))
    assert -a.item() == pytest.approx(losses.bradley_terry(torch.tensor([0.5]), torch.ones(1)).item(), rel=1e-5)


class TestCrowd:
    log_probs = tuple(torch.tensor([p]).log() for p in (0.6, 0.1, 0.3))

    def test_by_hand(self):
        probs = [p.exp().item() for p in losses.crowd_log_probs(self.log_probs, torch.tensor([0.9]))]
        assert probs == pytest.approx([0.9 * 0.6 + 0.1 * 0.1, 0.9 * 0.1 + 0.1 * 0.6, 0.3], rel=1e-5)

    def test_a_coin_says_nothing_and_a_contrarian_the_opposite(self):
        a, b, _tie = losses.crowd_log_probs(self.log_probs, torch.tensor([0.5]))
        assert a.item() == pytest.approx(b.item())
        a, b, _tie = losses.crowd_log_probs(self.log_probs, torch.tensor([1e-6]))
        assert (a.exp().item(), b.exp().item()) == pytest.approx((0.1, 0.6), rel=1e-3)


class TestDavidsonLuce:
    def test_two_responses_are_davidsons_model(self):
        rewards = torch.tensor([[0.3, -0.9]] * 3)
        ranks = torch.tensor([[1, 2], [2, 1], [1, 1]])
        log_nu = torch.tensor(-0.4)
        expected = -sum(losses.davidson_log_probs(torch.tensor([1.2]), log_nu)) / 3
        found = losses.davidson_luce(rewards, ranks, log_nu[None]).mean()
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)

    def test_without_ties_it_is_plackett_and_luces(self):
        rewards, ranks = torch.tensor([[0.5, -0.2, 1.1]]), torch.tensor([[2, 3, 1]])
        w = [math.exp(r) for r in (0.5, -0.2, 1.1)]
        expected = -math.log(w[2] / sum(w)) - math.log(w[0] / (w[0] + w[1]))
        assert losses.davidson_luce(rewards, ranks, torch.full((2,), -40.0)).item() == pytest.approx(expected, rel=1e-5)

    def test_the_probabilities_of_all_weak_orders_of_three_sum_to_one(self):
        orders = {tuple(sorted(set(o)).index(x) + 1 for x in o) for o in product(range(3), repeat=3)}
        assert len(orders) == 13
        rewards, delta = torch.tensor([[0.3, -1.0, 0.8]]), torch.tensor([-0.5, -1.5])
        probs = [math.exp(-losses.davidson_luce(rewards, torch.tensor([o]), delta).item()) for o in orders]
        assert sum(probs) == pytest.approx(1, rel=1e-5)

    def test_permuting_the_responses_and_filling_up_changes_nothing(self):
        rewards, ranks, delta = torch.tensor([[0.3, -1.0, 0.8]]), torch.tensor([[1, 2, 1]]), torch.tensor([-0.5])
        expected = losses.davidson_luce(rewards, ranks, delta).item()
        order = [2, 0, 1]
        assert losses.davidson_luce(rewards[:, order], ranks[:, order], delta).item() == pytest.approx(expected)
        filled = losses.davidson_luce(
            torch.cat([rewards, torch.full((1, 2), 9.0)], 1),
            torch.cat([ranks, torch.zeros(1, 2, dtype=torch.long)], 1),
            delta,
        )
        assert filled.item() == pytest.approx(expected)

    def test_the_gradient_is_right(self):
        rewards = torch.tensor([[0.3, -1.0, 0.8, 0.1]], dtype=torch.float64, requires_grad=True)
        delta = torch.tensor([-0.5, -1.5], dtype=torch.float64, requires_grad=True)
        ranks = torch.tensor([[1, 3, 1, 2]])
        assert torch.autograd.gradcheck(lambda r, d: losses.davidson_luce(r, ranks, d), (rewards, delta))

    def test_a_tie_that_is_not_modelled_is_an_error(self):
        with pytest.raises(ValueError, match="a tie of 3"):
            losses.davidson_luce(torch.zeros(1, 3), torch.tensor([[1, 1, 1]]), torch.tensor([0.0]))


def test_smoothing_and_centring():
    assert losses.smoothed(torch.tensor([1.0, 0.0, 0.5]), 0.1).tolist() == pytest.approx([0.95, 0.05, 0.5])
    assert losses.centre_penalty(torch.tensor([1.0, -3.0])).item() == 5


class TestScores:
    def test_ordinal_by_hand(self):
        def sigma(x):
            return 1 / (1 + math.exp(-x))

        cuts, r = torch.tensor([[-1.0, 0.5]]), 0.2
        expected = [sigma(-1 - r), sigma(0.5 - r) - sigma(-1 - r), 1 - sigma(0.5 - r)]
        for level, probability in enumerate(expected):
            found = losses.ordinal(torch.tensor([r]), torch.tensor([level]), cuts).item()
            assert found == pytest.approx(-math.log(probability), rel=1e-5)

    def test_ordinal_is_finite_far_out(self):
        found = losses.ordinal(torch.tensor([80.0]), torch.tensor([0]), torch.tensor([[-1.0, 0.5]]))
        assert found.item() == pytest.approx(81, rel=1e-4)

    def test_squared_error_is_half_the_square(self):
        assert losses.squared_error(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])).tolist() == [0, 2]


def test_correlation_by_hand():
    x = torch.tensor([1.0, 2.0, 3.0])
    assert losses.correlation(x, 2 * x + 1).item() == pytest.approx(1)
    assert losses.correlation(x, -x).item() == pytest.approx(-1)
    assert losses.correlation(x, torch.ones(3)).item() == 0
