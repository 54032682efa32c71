"""Objectives against numbers worked out by hand, and at their limits."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.engine.objectives import policy

P, Q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])


class TestAdvantages:
    def test_leave_one_out_by_hand(self):
        advantages = policy.rloo_advantages(torch.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]]))
        assert torch.allclose(advantages, torch.tensor([[-3.0, -1.5, 4.5], [0.0, 0.0, 0.0]]))
        with pytest.raises(ValueError, match="at least 2"):
            policy.rloo_advantages(torch.ones(2, 1))

    def test_of_a_group_by_hand(self):
        advantages = policy.group_advantages(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), eps=0.0 + 1e-9)
        half = 1 / math.sqrt(2)  # mean 2, sample standard deviation √2
        assert torch.allclose(advantages, torch.tensor([[-half, half], [0.0, 0.0]]), atol=1e-6)
        with pytest.raises(ValueError, match="at least 2"):
            policy.group_advantages(torch.ones(2, 1))

    def test_of_a_batch_a_baseline_without_the_sample_itself(self):
        advantages = policy.batch_advantages(torch.tensor([[1.0], [2.0], [6.0]]))
        assert advantages.flatten().tolist() == pytest.approx([-3.0, -1.5, 4.5])
        assert policy.batch_advantages(torch.tensor([[3.0]])).item() == 3.0

    def test_gae_by_hand(self):
        rewards, values = torch.tensor([[0.0, 1.0, 9.0]]), torch.tensor([[0.5, 0.25, 9.0]])
        mask = torch.tensor([[1.0, 1.0, 0.0]])
        advantages, returns = policy.gae(rewards, values, mask, gamma=0.9, lam=0.8)
        last = 1.0 - 0.25
        first = 0.9 * 0.25 - 0.5 + 0.9 * 0.8 * last
        assert advantages.tolist()[0] == pytest.approx([first, last, 0.0])
        assert returns.tolist()[0] == pytest.approx([first + 0.5, 1.0, 0.0])

    def test_gae_with_lambda_1_is_the_reward_to_go_less_the_value(self):
        rewards, values = torch.randn(3, 5), torch.randn(3, 5)
        advantages, returns = policy.gae(rewards, values, torch.ones(3, 5), gamma=1.0, lam=1.0)
        to_go = rewards.flip(1).cumsum(1).flip(1)
        assert torch.allclose(returns, to_go, atol=1e-5)
        assert torch.allclose(advantages, to_go - values, atol=1e-5)

    def test_whitening_does_not_see_padding(self):
        values, mask = torch.tensor([[1.0, 3.0, 1e6]]), torch.tensor([[1.0, 1.0, 0.0]])
        assert policy.whitened(values, mask).tolist()[0] == pytest.approx([-1.0, 1.0, 0.0])
        assert policy.whitened(values, mask, shift_mean=False).tolist()[0] == pytest.approx([1.0, 3.0, 0.0])


class TestKlInAReward:
    """The expected gradient of a reward -k is -Σ π k ∇log π; that of the penalty itself is -∇KL(π ‖ π_ref)."""

    @pytest.mark.parametrize(("estimator", "agrees"), [("k1", True), ("k2", False), ("k3", False)])
    def test_k1_alone_pulls_towards_the_reference(self, estimator, agrees):
        logits = P.log().requires_grad_()
        log_policy = torch.log_softmax(logits, dim=0)
        (target,) = torch.autograd.grad(-(log_policy.exp() * (log_policy - Q.log())).sum(), logits, retain_graph=True)
        penalty = policy.KL_ESTIMATORS[estimator](log_policy, Q.log()).detach()
        (gradient,) = torch.autograd.grad(-(log_policy.exp().detach() * penalty * log_policy).sum(), logits)
        cosine = torch.cosine_similarity(gradient, target, dim=0).item()
        assert cosine == pytest.approx(1.0) if agrees else cosine < 0


class TestSurrogate:
    def test_by_hand(self):
        new, old = torch.tensor([0.5, 1.5, 0.5, 1.5]).log(), torch.zeros(4)
        losses = policy.clipped_surrogate(new, old, torch.tensor([1.0, 1.0, -1.0, -1.0]), 0.2)
        assert losses.tolist() == pytest.approx([-0.5, -1.2, 0.8, 1.5])

    def test_on_policy_its_gradient_is_that_of_reinforce_and_zero_for_zero_advantage(self):
        new = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
        policy.clipped_surrogate(new, new.detach(), torch.tensor([2.0, -1.0, 0.0]), 0.2).sum().backward()
        assert new.grad.tolist() == [-2.0, 1.0, 0.0]

    def test_a_huge_ratio_does_not_overflow(self):
        new = torch.tensor([0.0], requires_grad=True)
        loss = policy.clipped_surrogate(new, torch.tensor([-200.0]), torch.tensor([-1.0]), 0.2)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(new.grad).all()

    def test_returns_to_go_by_hand(self):
        rewards, mask = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0]])
        assert policy.returns_to_go(rewards, mask, 0.5).tolist() == [[2.0, 2.0, 0.0]]

    def test_explained_variance_by_hand_and_without_padding(self):
        returns, mask = torch.tensor([[0.0, 2.0, 1e6]]), torch.tensor([[1.0, 1.0, 0.0]])
        for values, target in (([0.0, 2.0, 0.0], 1.0), ([5.0, 5.0, 0.0], 0.0), ([2.0, 0.0, 0.0], -3.0)):
            found = policy.explained_variance(torch.tensor([values]), returns, mask)
            assert found == pytest.approx(target)


class TestKL:
    @pytest.mark.parametrize("estimator", [policy.kl_k1, policy.kl_k3])
    def test_k1_and_k3_are_unbiased(self, estimator):
        expected = (P * (P / Q).log()).sum()
        assert (P * estimator(P.log(), Q.log())).sum().item() == pytest.approx(expected.item(), rel=1e-5)
        assert estimator(P.log(), P.log()).abs().max().item() == 0

    @given(st.floats(-500, 500), st.floats(-500, 500))
    def test_k2_and_k3_are_never_negative_and_never_overflow(self, a, b):
        for estimator in (policy.kl_k2, policy.kl_k3):
            value = estimator(torch.tensor(a), torch.tensor(b)).item()
            assert math.isfinite(value)
            assert value >= 0

    def test_the_gradient_of_k2_as_a_loss_is_that_of_the_divergence(self):
        logits = torch.tensor([0.3, -0.2, 0.5], requires_grad=True)
        exact = (logits.softmax(0) * (logits.log_softmax(0) - Q.log())).sum()
        (target,) = torch.autograd.grad(exact, logits)
        log_p = logits.log_softmax(0)
        (got,) = torch.autograd.grad((log_p.exp().detach() * policy.kl_k2(log_p, Q.log())).sum(), logits)
        assert torch.allclose(got, target, atol=1e-6)

    def test_beta_by_hand(self):
        assert policy.adapted_beta(0.1, 20.0, 2.0) == pytest.approx(0.102)
        assert policy.adapted_beta(0.1, 0.0, 2.0) == pytest.approx(0.098)
        assert policy.adapted_beta(0.1, 2.0, 2.0) == pytest.approx(0.1)


@pytest.mark.parametrize("beta", [0.5, 2.0, 1e6])
def test_exact_ascent_ends_at_the_known_optimum_and_a_large_beta_at_the_reference(beta):
    """The maximum of E[r] - β KL(π‖π_ref) is π ∝ π_ref exp(r / β) (Rafailov et al. 2023, eq. 4)."""
    rewards = torch.tensor([1.0, 0.0, 2.0])
    logits = torch.tensor([1.0, -1.0, 0.5], requires_grad=True)
    for _ in range(2000):
        log_p = logits.log_softmax(0)
        advantages = rewards - beta * policy.kl_k1(log_p.detach(), Q.log())
        advantages = advantages - (log_p.detach().exp() * advantages).sum()
        losses = policy.clipped_surrogate(log_p, log_p.detach(), advantages, 0.2)
        (gradient,) = torch.autograd.grad((log_p.detach().exp() * losses).sum(), logits)
        logits = (logits - gradient / max(1.0, beta)).detach().requires_grad_()
    target = (Q.log() + rewards / beta).softmax(0)
    assert torch.allclose(logits.softmax(0), target, atol=1e-4)
    if beta == 1e6:
        assert torch.allclose(logits.softmax(0), Q, atol=1e-4)


class TestDirect:
    def test_dpo_by_hand_and_at_its_limits(self):
        one, weight = torch.tensor([1.0]), torch.tensor([1.0])
        assert policy.dpo(torch.zeros(1), one, weight, 0.1).item() == pytest.approx(math.log(2))
        assert policy.dpo(torch.tensor([3.0]), one, weight, 0.5).item() == pytest.approx(math.log(1 + math.exp(-1.5)))
        # Raters who are split ask for a difference of logit(share) / β: there the gradient is zero.
        h = torch.tensor([math.log(3) / 0.5], requires_grad=True)
        policy.dpo(h, torch.tensor([0.75]), weight, 0.5).backward()
        assert h.grad.item() == pytest.approx(0, abs=1e-7)

    def test_dpo_weights_are_votes(self):
        h, shares = torch.tensor([1.0, -1.0]), torch.tensor([1.0, 1.0])
        losses = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))]
        value = policy.dpo(h, shares, torch.tensor([3.0, 1.0]), 1.0).item()
        assert value == pytest.approx((3 * losses[0] + losses[1]) / 4)

    def test_kto_by_hand(self):
        ratio, liked = torch.tensor([2.0, 2.0]), torch.tensor([True, False])
        value = policy.kto(ratio, liked, torch.tensor([1.0, 3.0]), torch.tensor(1.0), 0.5).item()
        sigma = 1 / (1 + math.exp(-0.5))
        assert value == pytest.approx(((1 - sigma) + 3 * sigma) / 4)

    def test_kto_at_the_reference_says_one_half(self):
        value = policy.kto(torch.zeros(2), torch.tensor([True, False]), torch.ones(2), torch.tensor(0.0), 0.1)
        assert value.item() == pytest.approx(0.5)


class TestBestOfN:
    def test_kl_by_hand(self):
        assert policy.best_of_n_kl(1) == 0
        assert policy.best_of_n_kl(4) == pytest.approx(math.log(4) - 0.75)

    def test_the_estimate_is_the_mean_over_all_subsets(self):
        from itertools import combinations

        rewards, judged = [0.3, 2.0, -1.0, 0.9], [1.0, 2.0, 3.0, 4.0]
        for n in (1, 2, 3, 4):
            bests = [judged[max(subset, key=lambda i: rewards[i])] for subset in combinations(range(4), n)]
            assert policy.best_of_n(rewards, judged, n) == pytest.approx(sum(bests) / len(bests))
