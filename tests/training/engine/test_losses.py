import math

import pytest
import torch

from training.engine import losses


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
    d, won, lost = torch.tensor([0.5, -1.0]), torch.tensor([1.0, 1.0]), torch.zeros(2)
    davidson = losses.davidson(d, won, lost, torch.zeros(2), torch.tensor(-30.0))
    assert davidson.item() == pytest.approx(losses.bradley_terry(d, torch.ones(2)).item(), rel=1e-5)


def test_davidson_weighs_votes():
    one = losses.davidson(*(torch.tensor([x]) for x in (1.0, 3.0, 1.0, 0.0)), torch.tensor(-1.0))
    two = losses.davidson(*(torch.tensor([x]) for x in (1.0, 6.0, 2.0, 0.0)), torch.tensor(-1.0))
    assert one.item() == pytest.approx(two.item())


def test_leave_one_out_by_hand():
    advantages = losses.rloo_advantages(torch.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]]))
    assert torch.allclose(advantages, torch.tensor([[-3.0, -1.5, 4.5], [0.0, 0.0, 0.0]]))
    with pytest.raises(ValueError, match="at least 2"):
        losses.rloo_advantages(torch.ones(2, 1))


@pytest.mark.parametrize("estimator", [losses.kl_k1, losses.kl_k3])
def test_kl_estimators_are_unbiased(estimator):
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    expected = (p * (p / q).log()).sum()
    assert (p * estimator(p.log(), q.log())).sum().item() == pytest.approx(expected.item(), rel=1e-5)
    assert estimator(p.log(), p.log()).abs().max().item() == 0


def test_k3_is_never_negative():
    values = losses.kl_k3(torch.linspace(-5, 0, 50), torch.linspace(0, -5, 50))
    assert (values >= 0).all()
