"""A generative adversarial reward term: a classifier that distinguishes real responses from the policy's.

Goodfellow et al. 2014; for text with policy gradients as in Yu et al. 2017 (SeqGAN), where the advantages of single
tokens come from `ppo`'s value head instead of Monte Carlo rollouts. Classifier and policy alternate: in each step the
classifier scores the new samples, then learns from them and equally many real responses.
"""

import random
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.engine.data.completions import Completions
from training.engine.data.observations import Item
from training.engine.models import base_models
from training.engine.rl.rewards import LEARNED_TERMS
from training.engine.runtime.numerics import check_finite

HELD_OUT = 0.2  # share of the real responses on which the classifier's accuracy is measured
REPLAY_BATCHES = 8  # earlier batches of samples that it also learns from, so that it does not forget them
CLIP = 5.0  # limit of the log-odds: a confident classifier would give the policy no gradient
LEARNING_RATE, MAX_LENGTH = 1e-3, 256


class Discriminator:
    """A convolutional network; its reward is the log-odds that a response is real, clipped to ±CLIP."""

    def __init__(self, real: Sequence[Item], seed: int) -> None:
        """Raise ValueError when there are too few real responses to learn from."""
        texts = list(dict.fromkeys(real))
        if len(texts) < 20:
            raise ValueError(f"a discriminator needs at least 20 real responses, not {len(texts)}")
        self.rng = random.Random(seed)
        self.rng.shuffle(texts)
        cut = max(1, int(len(texts) * HELD_OUT))
        self.held_out, self.real = texts[:cut], texts[cut:]
        self.encoder = base_models.small("cnn", self.real, outputs=1, max_length=MAX_LENGTH)
        self.optimizer = torch.optim.AdamW(self.encoder.model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        self.earlier: list[list[Item]] = []

    def __call__(self, completions: Completions) -> list[float]:
        return self.log_odds(completions.items).clamp(-CLIP, CLIP).tolist()

    @torch.no_grad()
    def log_odds(self, items: Sequence[Item]) -> Tensor:
        """Return the log-odds (N,) that each response is real."""
        self.encoder.model.eval()
        log_odds = self.encoder.outputs(items).squeeze(1)
        self.encoder.forget()
        return log_odds

    def accuracy(self, sample_log_odds: Sequence[float]) -> float:
        """Return the balanced accuracy on held-out real responses and on unseen samples, given by their log-odds."""
        real = (self.log_odds(self.held_out) > 0).float().mean().item()
        generated = (torch.tensor(sample_log_odds) <= 0).float().mean().item()
        return (real + generated) / 2

    def learn(self, completions: Completions, steps: int = 1) -> None:
        """Take optimizer steps on real responses against these samples and equally many earlier ones."""
        samples = completions.items
        for _ in range(steps):
            replay = [item for batch in self.earlier for item in batch]
            generated = [*samples, *self.rng.sample(replay, min(len(samples), len(replay)))]
            real = self.rng.choices(self.real, k=len(generated))
            self.encoder.model.train()
            outputs = self.encoder.outputs([*real, *generated]).squeeze(1)
            target = torch.cat([torch.ones(len(real)), torch.zeros(len(generated))])
            loss = F.binary_cross_entropy_with_logits(outputs, target)
            check_finite("the discriminator's loss", [loss.item()])
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self.earlier = [*self.earlier, samples][-REPLAY_BATCHES:]
        self.encoder.forget()

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on, for a checkpoint."""
        version, numbers, gauss = self.rng.getstate()
        return {
            "weights": self.encoder.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "earlier": self.earlier,
            "rng": [version, list(numbers), gauss],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.encoder.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.earlier = [[(prompt, text) for prompt, text in batch] for batch in state["earlier"]]
        version, numbers, gauss = state["rng"]
        self.rng.setstate((version, tuple(numbers), gauss))


LEARNED_TERMS["discriminator"] = Discriminator
