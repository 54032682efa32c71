"""Losses and estimators as pure functions of tensors. N items, K responses to a prompt, T tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor


def bradley_terry(difference: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean negative log-likelihood of soft preferences: -[t log σ(d) + (1-t) log σ(-d)], d = r_a - r_b.

    difference, target, weight: (N,). target is the share of votes that a won. Equal rewards give log 2.
    Bradley & Terry 1952; as a reward-model loss Christiano et al. 2017, eq. 1.
    """
    losses = F.binary_cross_entropy_with_logits(difference, target, reduction="none")
    return _weighted_mean(losses, weight)


def davidson_log_probs(difference: Tensor, log_nu: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log P(a better), log P(b better), log P(tie), each (N,), for differences d = r_a - r_b (N,).

    P(a) ∝ exp(d/2), P(b) ∝ exp(-d/2), P(tie) ∝ ν: Davidson 1970, eq. 2.2, with both strengths divided by
    their geometric mean. ν = exp(log_nu) → 0 is Bradley-Terry.
    """
    tie = log_nu.expand_as(difference)
    logits = torch.stack([difference / 2, -difference / 2, tie])
    log_a, log_b, log_tie = torch.log_softmax(logits, dim=0)
    return log_a, log_b, log_tie


def davidson(difference: Tensor, wins_a: Tensor, wins_b: Tensor, ties: Tensor, log_nu: Tensor) -> Tensor:
    """Mean negative log-likelihood a vote of Davidson's model with ties.

    difference, wins_a, wins_b, ties: (N,); log_nu: scalar, learned with the rewards.
    """
    log_a, log_b, log_tie = davidson_log_probs(difference, log_nu)
    total = (wins_a + wins_b + ties).sum()
    return -(wins_a * log_a + wins_b * log_b + ties * log_tie).sum() / total


def rloo_advantages(rewards: Tensor) -> Tensor:
    """Each reward minus the mean of the other samples of its prompt. rewards: (B, K) with K ≥ 2 → (B, K).

    Leave-one-out baseline: Kool et al. 2019; Ahmadian et al. 2024, eq. 8.
    """
    k = rewards.shape[1]
    if k < 2:
        raise ValueError(f"the leave-one-out baseline needs at least 2 samples a prompt, not {k}")
    return (rewards - rewards.mean(dim=1, keepdim=True)) * k / (k - 1)


def kl_k1(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """log π - log π_ref of sampled tokens, any shape: unbiased, may be negative (Schulman 2020)."""
    return log_policy - log_reference


def kl_k3(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """exp(-Δ) - 1 + Δ with Δ = log π - log π_ref: unbiased, never negative, low variance (Schulman 2020)."""
    delta = log_policy - log_reference
    return torch.expm1(-delta) + delta


def _weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.mean() if weight is None else (values * weight).sum() / weight.sum()
