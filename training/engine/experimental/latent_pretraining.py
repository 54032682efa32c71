"""Pretraining of a text variational autoencoder, and measures of the use of its latent.

Training minimizes the negative evidence lower bound (Kingma & Welling 2014, eq. 3):
-E_q[log p(y | z, x)] + KL(q(z | y) ‖ N(0, I)).
Language models tend to ignore z, so that the KL collapses to 0. Three measures prevent this: a weight on the KL that
grows over the first half of the steps (Bowman et al. 2016), free bits for each dimension (Kingma et al. 2016), and
word dropout on the response (Bowman et al. 2016).
"""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.engine.data.documents import Document
from training.engine.data.formatting import truncation
from training.engine.generation.sampling import Policy
from training.engine.models.latent import LatentForCausalLM, gaussian_kl, log_density, register
from training.engine.pretraining.training import POLICY_KINDS, PretrainConfig, Training
from training.engine.runtime.progress import Reporter

ANNEALED = 0.5  # the share of the steps over which the KL's weight grows from 0 to 1
ACTIVE = 0.01  # a dimension is active if the variance of its mean over texts exceeds this (Burda et al. 2016)
MAX_HELD_OUT, IMPORTANCE_SAMPLES = 512, 8  # held-out documents; samples of z for each

Row = tuple[list[int], list[int]]  # a prompt's ids, and its response's with the end token


@dataclass(frozen=True)
class Texts:
    """B rows [prompt, z, response], padded on the right. `inside` marks the response; z is a placeholder token."""

    ids: Tensor  # (B, L)
    mask: Tensor  # (B, L): 0 on padding, else 1
    inside: Tensor  # (B, L)
    places: Tensor  # (B,): of z

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Texts":
        width = max(len(prompt) + 1 + len(response) for prompt, response in rows)
        ids, mask, inside = torch.zeros(3, len(rows), width, dtype=torch.long)
        for n, (prompt, response) in enumerate(rows):
            start, end = len(prompt) + 1, len(prompt) + 1 + len(response)
            ids[n, :end] = torch.tensor([*prompt, 0, *response])
            mask[n, :end], inside[n, start:end] = 1, 1
        return cls(ids, mask, inside, torch.tensor([len(prompt) for prompt, _ in rows]))


class LatentTraining(Training):
    """Pretraining in which each row is one document with its own latent."""

    objectives = ("mle",)
    model: LatentForCausalLM
    stacked = staticmethod(Texts.of)

    def __init__(self, corpus: Iterable[Document], config: PretrainConfig, reporter: Reporter) -> None:
        register()
        self.truncated = self.read = 0  # numbers of documents
        super().__init__(corpus, config, reporter)
        self.model = LatentForCausalLM.from_language_model(self.model, config.latent_size)
        self.parameters = sum(p.numel() for p in self.model.parameters())

    def rows(self) -> Iterator[Row]:
        return self._rows_of(self.split(held_out=False))

    def loss(self, batch: Texts) -> Tensor:
        mean, log_variance = posterior(self.model, batch)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        losses = -log_likelihood(self.model, batch, z, hidden=self.config.word_dropout)
        kl = gaussian_kl(mean, log_variance).mean(dim=0).clamp(min=self.config.free_bits).sum()
        weight = min(1.0, self.done / ANNEALED)
        return (losses.mean() + weight * kl) * len(batch.ids) / batch.inside.sum()

    @torch.no_grad()
    def perplexity(self) -> float:
        """Return an upper bound of the perplexity per token by importance sampling (Burda et al. 2016, eq. 8)."""
        self.model.eval()
        bounds = [importance_bound(self.model, part, IMPORTANCE_SAMPLES) for part in self.held_out]
        tokens = sum(int(part.inside.sum()) for part in self.held_out)
        return math.exp(-float(torch.cat(bounds).sum()) / tokens)

    def figures(self) -> dict[str, float]:
        return latent_figures(self.model, self.held_out)

    def _rows_of(self, documents: Iterable[Document]) -> Iterator[Row]:
        room = self.config.context - 1
        policy = Policy(self.model, self.tokenizer)
        for document in documents:
            response = policy.response_ids(document.text, sys.maxsize)
            tail = response[: room // 2 + 1]  # a truncated response has no end token
            head = policy.limited_prompt_ids(document.prompt, room - len(tail))
            truncated = len(tail) < len(response) or document.prompt in policy.truncated
            policy.truncated.clear()
            self.truncated += truncated
            self.read += 1
            yield head, tail

    def truncation(self) -> str:
        return truncation(self.truncated, self.read, self.config.context, "documents")

    def _held_out(self) -> list[Texts]:
        rows = list(self._rows_of(self.split(held_out=True)))[:MAX_HELD_OUT]
        if not rows:
            raise ValueError(f"the corpus is too small: it must hold at least {self.every} documents")
        size = self.config.batch_size
        return [Texts.of(rows[n : n + size]) for n in range(0, len(rows), size)]


POLICY_KINDS["vae"] = LatentTraining


def posterior(model: LatentForCausalLM, batch: Texts) -> tuple[Tensor, Tensor]:
    """Return mean and log-variance (B, Z) of q(z | y)."""
    return model.posterior_parameters(batch.ids, batch.mask, batch.inside)


def log_likelihood(model: LatentForCausalLM, batch: Texts, z: Tensor, *, hidden: float = 0.0) -> Tensor:
    """Return log p(y | z, x) of each row, (B,). hidden: the probability that a token of the response is dropped from
    the input."""
    ids = batch.ids.clone()
    if hidden:
        ids[(torch.rand(ids.shape) < hidden) & batch.inside.bool()] = 0
    ids[torch.arange(len(ids)), batch.places] = torch.tensor(model.set_latents(z))
    logits = model(input_ids=ids, attention_mask=batch.mask, use_cache=False).logits[:, :-1]
    losses = F.cross_entropy(logits.transpose(1, 2).float(), batch.ids[:, 1:], reduction="none")
    return -(losses * batch.inside[:, 1:]).sum(dim=1)


@torch.no_grad()
def importance_bound(model: LatentForCausalLM, batch: Texts, draws: int) -> Tensor:
    """Return the log of the mean over `draws` of p(y | z, x) p(z) / q(z | y), (B,): at most log p(y | x) on average."""
    mean, log_variance = posterior(model, batch)
    weights = []
    for _ in range(draws):
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        prior = log_density(z, torch.zeros_like(z), torch.zeros_like(z))
        weights.append(log_likelihood(model, batch, z) + prior - log_density(z, mean, log_variance))
    return torch.logsumexp(torch.stack(weights), dim=0) - math.log(draws)


@torch.no_grad()
def latent_figures(model: LatentForCausalLM, held_out: Sequence[Texts]) -> dict[str, float]:
    """Return the reconstruction loss given z in nats per token, the KL in nats per text, and the number of active units
    (Burda et al. 2016)."""
    model.eval()
    means, kls, loss, tokens = [], [], 0.0, 0
    for batch in held_out:
        mean, log_variance = posterior(model, batch)
        means.append(mean)
        kls.append(gaussian_kl(mean, log_variance).sum(dim=1))
        loss -= float(log_likelihood(model, batch, mean).sum())
        tokens += int(batch.inside.sum())
    spread: Any = torch.cat(means).var(dim=0)
    return {
        "reconstruction": loss / tokens,
        "latent_kl": float(torch.cat(kls).mean()),
        "active_units": int((spread > ACTIVE).sum()),
        "latent_size": model.config.latent_size,
    }
