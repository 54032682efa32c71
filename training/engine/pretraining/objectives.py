"""What a language model is pretrained by: plain text, or text whose segments a preference model has judged.

Korbak et al. 2023, "Pretraining language models with human preferences", sec. 2; pure functions of tensors. Scores are
standardised over the corpus, so a threshold of 0 is its mean and β counts in standard deviations.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

OBJECTIVES = ("mle", "conditional", "filter", "unlikelihood", "rwr", "awr", "joint")
MAX_WEIGHT = 20.0  # of a token by its advantage: Peng et al. 2019, sec. 4


def token_losses(logits: Tensor, ids: Tensor) -> Tensor:
    """-log p of each token but the first, (B, T-1), from logits (B, T, V)."""
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")


def unlikelihood(losses: Tensor, good: Tensor, alpha: float) -> Tensor:
    """-log p of the tokens in good segments, -α log(1 - p) of those in bad ones; mean over all.

    losses: -log p, (B, T); good: (B, T) of bool. Welleck et al. 2020, eq. 2; Korbak et al. 2023, eq. 3.
    """
    # log(1 - p) from log p: exact near p = 0 and finite at p = 1.
    unlikely = -torch.log1p(-torch.exp(-losses).clamp(max=1 - 1e-6))
    return torch.where(good, losses, alpha * unlikely).mean()


def reward_weighted(losses: Tensor, scores: Tensor, beta: float) -> Tensor:
    """Mean of -log p weighted by exp(score / β), the weights' mean over the batch brought to 1.

    Peters & Schaal 2007; Korbak et al. 2023, eq. 4. β → ∞ is maximum likelihood.
    """
    weights = torch.softmax(scores.flatten() / beta, dim=0).view_as(scores)
    return (weights * losses).sum()


def advantage_weighted(losses: Tensor, scores: Tensor, values: Tensor, beta: float, value_weight: float) -> Tensor:
    """Mean of -log p weighted by exp((score - V) / β), plus the squared error of V, a value for each token.

    Peng et al. 2019; Korbak et al. 2023, eq. 5.
    """
    weights = torch.exp((scores - values.detach()) / beta).clamp(max=MAX_WEIGHT)
    return (weights * losses).mean() + value_weight * ((values - scores) ** 2).mean()


def joint(losses: Tensor, predicted: Tensor, target: Tensor, norms: Tensor, decay: float) -> Tensor:
    """Language-model loss + 1/N Σ (y - (wᵀx + b))² + λ (‖W‖² + ‖w‖²), over the N documents that end in the batch.

    predicted, target: (N,); norms: ‖W‖² + ‖w‖². Without a document the middle term is 0.
    """
    squared = ((target - predicted) ** 2).mean() if len(target) else losses.new_zeros(())
    return losses.mean() + squared + decay * norms
