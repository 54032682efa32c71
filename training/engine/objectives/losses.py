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


def crowd_log_probs(log_probs: tuple[Tensor, Tensor, Tensor], reliability: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a rater's log P(a), log P(b), log P(tie), given those of a perfectly reliable rater.

    reliability: α in (0, 1), shape of the log probabilities. P'(a) = α P(a) + (1 - α) P(b): a rater with α = 1/2
    is uninformative, one below it votes the opposite. Ties are unchanged. Chen et al. 2013 (Crowd-BT), eq. 2.
    """
    log_a, log_b, log_tie = log_probs
    log_alpha, log_rest = torch.log(reliability), torch.log1p(-reliability)
    observed_a = torch.logaddexp(log_alpha + log_a, log_rest + log_b)
    return observed_a, torch.logaddexp(log_alpha + log_b, log_rest + log_a), log_tie


def davidson_luce(rewards: Tensor, ranks: Tensor, log_delta: Tensor) -> Tensor:
    """Negative log-likelihood (N,) of whole rankings with ties.

    rewards, ranks: (N, K), rank 1 the best, equal ranks are ties, 0 for places without a response. log_delta: (T - 1,),
    the log prevalence of ties of 2, 3, … T responses; larger ties in the data are an error. At each stage the next
    group G of what is left, S, has P(G) ∝ δ_|G| (∏ w_i)^(1/|G|) over all subsets of S of at most T, w = exp(reward):
    Firth, Kosmidis & Turner 2019, eq. 2. K = 2 is Davidson's model, δ → 0 Plackett and Luce's.
    Raises ValueError when a tie is larger than T.
    """
    largest = len(log_delta) + 1
    prevalence = torch.cat([log_delta.new_zeros(1), log_delta])
    total = rewards.new_zeros(len(rewards))
    for place in range(1, int(ranks.max()) + 1):
        group, left = ranks == place, ranks >= place
        size = group.sum(dim=1)
        if int(size.max()) > largest:
            raise ValueError(f"a tie of {int(size.max())} responses, but only ties of {largest} are modelled")
        counts = size > 0
        mean = (rewards * group).sum(dim=1) / size.clamp(min=1)
        chosen = mean + prevalence[(size - 1).clamp(min=0)]
        sets = [prevalence[t - 1] + _log_elementary(rewards / t, left, t) for t in range(1, largest + 1)]
        total = total + torch.where(counts, torch.logsumexp(torch.stack(sets), dim=0) - chosen, 0.0)
    return total


def _log_elementary(values: Tensor, there: Tensor, degree: int) -> Tensor:
    """log of the elementary symmetric polynomial of exp(values) (N, K) over the places that are `there`, (N,)."""
    nothing = torch.full_like(values[:, 0], -1e30)
    sums = [torch.zeros_like(nothing), *[nothing] * degree]
    for column, present in zip(values.unbind(dim=1), there.unbind(dim=1), strict=True):
        added = [torch.logaddexp(sums[t], sums[t - 1] + column) for t in range(1, degree + 1)]
        sums = [sums[0], *(torch.where(present, new, old) for new, old in zip(added, sums[1:], strict=True))]
    return sums[degree]


def ordinal(rewards: Tensor, levels: Tensor, cuts: Tensor) -> Tensor:
    """Negative log-likelihood (N,) of scores on a scale of L levels: P(level ≤ l) = σ(cut_l - r).

    rewards: (N,); levels: (N,) from 0 to L - 1; cuts: (N, L - 1), ascending. McCullagh 1980, eq. 2.1.
    """
    ends = cuts.new_full((len(cuts), 1), 1e4)
    edges = torch.cat([-ends, cuts, ends], dim=1)
    upper = edges.gather(1, levels[:, None] + 1).squeeze(1) - rewards
    lower = edges.gather(1, levels[:, None]).squeeze(1) - rewards
    # log(σ(u) - σ(l)) = log σ(u) + log σ(-l) + log(1 - exp(l - u)), which keeps its digits in the tails.
    return -(F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper)))


def squared_error(rewards: Tensor, scores: Tensor) -> Tensor:
    """Half the squared distance (N,) of rewards from scores: the article's y ≈ wᵀx + b, a normal log-likelihood."""
    return (rewards - scores) ** 2 / 2


def smoothed(target: Tensor, smoothing: float) -> Tensor:
    """Targets in [0, 1] drawn towards one half: (1 - ε) t + ε / 2 (Szegedy et al. 2016, sec. 7)."""
    return (1 - smoothing) * target + smoothing / 2


def centre_penalty(rewards: Tensor) -> Tensor:
    """The mean squared reward (N,): keeps the scale's origin at 0 (Eisenstein et al. 2023, sec. 3)."""
    return (rewards**2).mean()


def correlation(x: Tensor, y: Tensor) -> Tensor:
    """Pearson's correlation of x and y (N,), 0 where one of them is constant."""
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / (x.norm() * y.norm()).clamp(min=1e-8)


def _weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.mean() if weight is None else (values * weight).sum() / weight.sum()
