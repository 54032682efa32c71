"""What a policy is tuned by, as pure functions of tensors. B prompts, K samples a prompt, N = B·K samples, T tokens.

Log-probabilities are those of sampled tokens, (N, T); a mask (N, T) is 1 on a response's tokens and 0 on padding.
Nothing here knows a model; every function is tested against numbers worked out by hand.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# --- advantages -----------------------------------------------------------------------------------------------------


def rloo_advantages(rewards: Tensor) -> Tensor:
    """Each reward minus the mean of the other samples of its prompt. rewards: (B, K) with K ≥ 2 → (B, K).

    Leave-one-out baseline: Kool et al. 2019; Ahmadian et al. 2024, eq. 8.
    """
    k = rewards.shape[1]
    if k < 2:
        raise ValueError(f"the leave-one-out baseline needs at least 2 samples a prompt, not {k}")
    return (rewards - rewards.mean(dim=1, keepdim=True)) * k / (k - 1)


def group_advantages(rewards: Tensor, eps: float = 1e-4) -> Tensor:
    """(r - mean) / (std + eps) within each prompt's samples, (B, K) → (B, K): GRPO, Shao et al. 2024, sec. 4.1.2."""
    if rewards.shape[1] < 2:
        raise ValueError(f"a group's mean and spread need at least 2 samples a prompt, not {rewards.shape[1]}")
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return centred / (rewards.std(dim=1, keepdim=True) + eps)


def batch_advantages(rewards: Tensor) -> Tensor:
    """Rewards minus the mean of all the others in the batch, (B, K) → (B, K): REINFORCE (Williams 1992) with a
    baseline that does not depend on the sample. A single sample keeps its reward."""
    n = rewards.numel()
    return rewards if n == 1 else (rewards - rewards.mean()) * n / (n - 1)


def whitened(
    values: Tensor,
    mask: Tensor,
    *,
    shift_mean: bool = True,
    eps: float = 1e-8,
    total: Callable[[Tensor], Tensor] = lambda part: part,
) -> Tensor:
    """Values (N, T) at mean 0 and variance 1 over the mask; without shift_mean the mean stays where it was. total: adds
    up a sum over the processes that hold the rest of the batch."""
    count = total(mask.sum()).clamp(min=1)
    mean = total((values * mask).sum()) / count
    variance = total((((values - mean) ** 2) * mask).sum()) / count
    scaled = (values - mean) * torch.rsqrt(variance + eps)
    return (scaled if shift_mean else scaled + mean) * mask


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Advantages and returns (N, T) from rewards and values of each token: Schulman et al. 2016, eq. 16.

    δ_t = r_t + γ V_{t+1} - V_t, A_t = δ_t + γλ A_{t+1}; behind a response's last token both are 0.
    """
    advantages = torch.zeros_like(rewards)
    after = torch.zeros_like(rewards[:, 0])
    next_value = torch.zeros_like(after)
    for t in range(rewards.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        # Padding lies behind the last token, so there `after` and `next_value` are still 0.
        after = (delta + gamma * lam * after) * mask[:, t]
        next_value = values[:, t] * mask[:, t]
        advantages[:, t] = after
    return advantages, (advantages + values) * mask


# --- losses of sampled tokens ---------------------------------------------------------------------------------------


def clipped_surrogate(log_new: Tensor, log_old: Tensor, advantages: Tensor, epsilon: float) -> Tensor:
    """-min(ρA, clip(ρ, 1-ε, 1+ε)A) of each token, ρ = exp(log π - log π_old): PPO, Schulman et al. 2017, eq. 7.

    All arguments of one shape. With log_old = log_new the gradient is that of REINFORCE, -A ∇log π. The exponent is
    held below 20, where exp would overflow long before clipping helps.
    """
    ratio = torch.exp((log_new - log_old).clamp(max=20.0))
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - epsilon, 1 + epsilon) * advantages)


def returns_to_go(rewards: Tensor, mask: Tensor, gamma: float) -> Tensor:
    """Σ_{k≥t} γ^{k-t} r_k of each token (N, T): what a critic should predict, without its own predictions in it (λ = 1,
    as decoupled GAE has it: Yuan et al. 2025, sec. 3.2)."""
    returns = torch.zeros_like(rewards)
    after = torch.zeros_like(rewards[:, 0])
    for t in range(rewards.shape[1] - 1, -1, -1):
        after = (rewards[:, t] + gamma * after) * mask[:, t]
        returns[:, t] = after
    return returns


def explained_variance(
    values: Tensor, returns: Tensor, mask: Tensor, *, total: Callable[[Tensor], Tensor] = lambda part: part
) -> float:
    """1 - Var(R - V) / Var(R) over the tokens of the mask, all (N, T): 1 where the critic is right, 0 where it says no
    more than a constant or all returns are alike, below 0 where it says less. total: adds up a sum over processes."""

    def variance(of: Tensor) -> Tensor:
        count = total(mask.sum())
        mean = total((of * mask).sum()) / count
        return total((((of - mean) ** 2) * mask).sum()) / count

    of_returns = variance(returns)
    return 1 - float(variance(returns - values) / of_returns) if of_returns else 0.0


# --- divergence from the reference ----------------------------------------------------------------------------------


def kl_k1(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """log π - log π_ref of sampled tokens, any shape: unbiased, may be negative (Schulman 2020)."""
    return log_policy - log_reference


def kl_k2(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """½ (log π - log π_ref)²: biased, never negative; as a loss its gradient is that of KL(π‖π_ref) (Schulman 2020)."""
    return 0.5 * (log_policy - log_reference) ** 2


def kl_k3(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """exp(-Δ) - 1 + Δ with Δ = log π - log π_ref: unbiased, never negative, low variance (Schulman 2020).

    -Δ is held below 20: a token that the policy as good as never writes must not make the loss infinite.
    """
    delta = (log_policy - log_reference).clamp(min=-20.0)
    return torch.expm1(-delta) + delta


KL_ESTIMATORS = {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3}


def adapted_beta(beta: float, kl: float, target: float, *, gain: float = 0.1) -> float:
    """β after a step that measured `kl`: up to 20 % · gain towards the target (Ziegler et al. 2019, eq. 7)."""
    return beta * (1 + gain * max(-0.2, min(0.2, kl / target - 1)))


# --- straight from preferences --------------------------------------------------------------------------------------


def dpo(difference: Tensor, share: Tensor, weight: Tensor, beta: float) -> Tensor:
    """-[s log σ(βh) + (1-s) log σ(-βh)], weighted mean; h = log-ratio of a minus log-ratio of b, all (N,).

    Rafailov et al. 2023, eq. 7, where s, the share of the votes that a won, is 1. Shares between 0 and 1 are the
    conservative form: raters who disagree ask for a small difference.
    """
    losses = F.binary_cross_entropy_with_logits(beta * difference, share, reduction="none")
    return (losses * weight).sum() / weight.sum()


def kto(ratio: Tensor, desirable: Tensor, weight: Tensor, origin: Tensor, beta: float) -> Tensor:
    """1 - σ(β(ratio - z)) for what was liked, 1 - σ(β(z - ratio)) for what was not; weighted mean.

    ratio: log π/π_ref of whole responses (N,); origin z ≥ 0: the KL of the policy to the reference, without
    gradient. Ethayarajh et al. 2024, eq. 7 and 8, with λ in `weight`.
    """
    sign = torch.where(desirable, 1.0, -1.0)
    losses = 1 - torch.sigmoid(beta * sign * (ratio - origin))
    return (losses * weight).sum() / weight.sum()


# --- best of n ------------------------------------------------------------------------------------------------------


def best_of_n_kl(n: int) -> float:
    """KL of best-of-n to the policy it samples from: log n - (n-1)/n (Hilton & Gao 2022; equal where no two
    responses are the same, else an upper bound: Beirami et al. 2024)."""
    return math.log(n) - (n - 1) / n


def best_of_n_weights(samples: int, n: int) -> list[float]:
    """The chance of each of `samples` draws, in rising order of reward, to be the best of n drawn among them.

    C(i-1, n-1) / C(samples, n) for the i-th smallest: the unbiased estimate of best-of-n from more draws than n
    (Nakano et al. 2021, app. I).
    """
    total = math.comb(samples, n)
    return [math.comb(i, n - 1) / total for i in range(samples)]


def best_of_n(rewards: Sequence[float], judged: Sequence[float], n: int) -> float:
    """The expected `judged` value of the sample with the highest reward among n, from len(rewards) ≥ n samples."""
    order = sorted(range(len(rewards)), key=lambda i: rewards[i])
    weights = best_of_n_weights(len(rewards), n)
    return sum(w * judged[i] for w, i in zip(weights, order, strict=True))
