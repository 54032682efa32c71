"""A generative adversarial policy: a classifier that tells real responses from the policy's is one more reward term.

Goodfellow et al. 2014; for text by policy gradient as in Yu et al. 2017 (SeqGAN), where the credit of single tokens
comes from `ppo`'s value head instead of Monte-Carlo roll-outs. Classifier and policy take turns: each step the
classifier judges the new samples, then learns from them and as many real responses.
"""

import random
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.engine.data.completions import Written
from training.engine.data.observations import Item
from training.engine.models import base_models
from training.engine.rl.rewards import LEARNED_TERMS
from training.engine.runtime.numerics import check_finite

HELD_OUT = 0.2  # of the real responses, to measure the classifier on
KEPT = 8  # batches of earlier samples among which it learns, so that it does not forget them
CLIP = 5.0  # of the log-odds that are the reward: a sure classifier would leave the policy nothing to climb
LEARNING_RATE, MAX_LENGTH = 1e-3, 256


class Discriminator:
    """A convolutional net; its reward is the log-odds that a response is real, within ±CLIP."""

    def __init__(self, real: Sequence[Item], seed: int) -> None:
        """Raises ValueError when there are too few real responses to learn from."""
        texts = list(dict.fromkeys(real))
        if len(texts) < 20:
            raise ValueError(f"a discriminator needs at least 20 real responses, not {len(texts)}")
        self.rng = random.Random(seed)
        self.rng.shuffle(texts)
        cut = max(1, int(len(texts) * HELD_OUT))
        self.held_out, self.real = texts[:cut], texts[cut:]
        self.reader = base_models.small("cnn", self.real, outputs=1, max_length=MAX_LENGTH)
        self.optimizer = torch.optim.AdamW(self.reader.model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        self.earlier: list[list[Item]] = []

    def __call__(self, written: Written) -> list[float]:
        return self.log_odds(written.items).clamp(-CLIP, CLIP).tolist()

    @torch.no_grad()
    def log_odds(self, items: Sequence[Item]) -> Tensor:
        """Log-odds (N,) that each response is real."""
        self.reader.model.eval()
        found = self.reader.outputs(items).squeeze(1)
        self.reader.forget()
        return found

    def accuracy(self, made: Sequence[float]) -> float:
        """On held-out real responses and samples that it has not learned from, given by their log-odds; both count
        half."""
        real = self.log_odds(self.held_out)
        return ((real > 0).float().mean().item() + (torch.tensor(made) <= 0).float().mean().item()) / 2

    def learn(self, written: Written, steps: int = 1) -> None:
        """Optimiser steps on real responses against these samples and as many of earlier ones."""
        made = written.items
        for _ in range(steps):
            before = [item for batch in self.earlier for item in batch]
            old = self.rng.sample(before, min(len(made), len(before)))
            false = [*made, *old]
            true = self.rng.choices(self.real, k=len(false))
            self.reader.model.train()
            outputs = self.reader.outputs([*true, *false]).squeeze(1)
            target = torch.cat([torch.ones(len(true)), torch.zeros(len(false))])
            loss = F.binary_cross_entropy_with_logits(outputs, target)
            check_finite("the discriminator's loss", [loss.item()])
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self.earlier = [*self.earlier, made][-KEPT:]
        self.reader.forget()

    def state(self) -> dict[str, Any]:
        """For a checkpoint; all that the next step depends on."""
        version, numbers, gauss = self.rng.getstate()
        return {
            "weights": self.reader.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "earlier": self.earlier,
            "rng": [version, list(numbers), gauss],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.reader.model.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.earlier = [[(prompt, text) for prompt, text in batch] for batch in state["earlier"]]
        version, numbers, gauss = state["rng"]
        self.rng.setstate((version, tuple(numbers), gauss))


LEARNED_TERMS["discriminator"] = Discriminator
