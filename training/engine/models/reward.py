"""The preference model: a scalar reward for (prompt, response) from one model or an ensemble."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from training.engine.data.observations import Item
from training.engine.models import small_models
from training.engine.models.encoder import Encoder
from training.engine.models.quantised import quantised

SETTINGS = "palate"
# No criterion can have these names: its key is made of letters, digits, - and _.
OVERALL, LENGTH = "(overall)", "(length)"


@dataclass
class Settings:
    """The settings of a saved preference model, stored in config.json.

    outputs: what each of a head's outputs stands for (the whole, criteria, the length); weights: of the outputs in the
    reward. heads: how many such heads on the backbone; copies: how many whole models. P(a beats b) is
    σ((r_a - r_b) / temperature); quality σ((r - centre) / temperature).
    """

    max_length: int
    outputs: list[str] = field(default_factory=lambda: [OVERALL])
    weights: list[float] = field(default_factory=lambda: [1.0])
    heads: int = 1
    copies: int = 1
    temperature: float = 1.0
    centre: float = 0.0


class PreferenceModel:
    """A trained preference model: rewards on the real line, quality in (0, 1). Members are heads or whole models."""

    def __init__(self, encoders: Sequence[Encoder], settings: Settings) -> None:
        self.encoders, self.settings = list(encoders), settings

    @classmethod
    def load(cls, path: str | Path, precision: str = "float32") -> "PreferenceModel":
        """Load a folder that train_preference saved, to score in float32 or int8 (training.engine.models.quantised).
        Raises ValueError for any other folder, or one without this precision."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        small_models.register()
        file = Path(path) / "config.json"
        values = json.loads(file.read_text()).get(SETTINGS) if file.is_file() else None
        if not values:
            raise ValueError(f"{path} is not a preference model: expected a folder that train_preference saved")
        settings = Settings(**values)
        tokenizer = AutoTokenizer.from_pretrained(path)
        encoders = []
        for folder in [Path(path), *(Path(path) / f"copy-{n}" for n in range(2, settings.copies + 1))]:
            model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
            encoders.append(Encoder(quantised(model, precision), tokenizer, settings.max_length))
        return cls(encoders, settings)

    @property
    def temperature(self) -> float:
        return self.settings.temperature

    @property
    def centre(self) -> float:
        return self.settings.centre

    @property
    def tokenizer(self) -> Any:
        return self.encoders[0].tokenizer

    @property
    def causal(self) -> bool:
        return self.encoders[0].causal

    def outputs(self, items: Sequence[Item]) -> Tensor:
        """Return all outputs (N, M, H) of M members with H outputs each, with gradient where it is enabled."""
        shape = (len(items), self.settings.heads, len(self.settings.outputs))
        return torch.cat([encoder.outputs(items).view(shape) for encoder in self.encoders], dim=1)

    def rewards(self, items: Sequence[Item]) -> Tensor:
        """Return rewards (N,): the mean over members of the weighted outputs."""
        return self._members(items).mean(dim=1)

    def score(self, items: Sequence[Item]) -> list[float]:
        """Return the rewards of (prompt, response) items; each distinct item is encoded once."""
        return np.array(self.score_members(items)).mean(axis=1).tolist() if items else []

    @torch.no_grad()
    def score_members(self, items: Sequence[Item], batch: int = 256) -> list[list[float]]:
        """Return one row per item with one reward per ensemble member."""
        for encoder in self.encoders:
            encoder.model.eval()
        # Always in the same order: in int8 a batch has one scale, so the rounding depends on the batch.
        distinct = sorted(set(items), key=lambda item: (item[0], len(item[1]), item[1]))
        rewards: dict[Item, list[float]] = {}
        for start in range(0, len(distinct), batch):
            part = distinct[start : start + batch]
            rewards.update(zip(part, self._members(part).tolist(), strict=True))
        for encoder in self.encoders:
            encoder.forget()
        return [rewards[item] for item in items]

    @torch.no_grad()
    def criteria(self, items: Sequence[Item]) -> dict[str, list[float]]:
        """Return the members' mean output for each criterion, in standard deviations of the raters' scores."""
        outputs = self.outputs(items).mean(dim=1)
        return {
            name: outputs[:, n].tolist()
            for n, name in enumerate(self.settings.outputs)
            if name not in (OVERALL, LENGTH)
        }

    def log_odds(self, reward: float) -> float:
        """Return the calibrated reward: the log odds against the average response of the validation split."""
        return (reward - self.centre) / self.temperature

    def quality(self, rewards: Sequence[float]) -> list[float]:
        """Return the calibrated quality in (0, 1): the probability of beating the validation split's average
        response."""
        return [float(expit(self.log_odds(r))) for r in rewards]

    def probability(self, reward_a: float, reward_b: float) -> float:
        """Return the calibrated probability that a rater prefers a over b, with ties as half."""
        return float(expit((reward_a - reward_b) / self.temperature))

    def save(self, output: Path) -> None:
        """Save a folder that `AutoModelForSequenceClassification.from_pretrained` opens; other copies are
        subfolders."""
        for number, encoder in enumerate(self.encoders, start=1):
            setattr(encoder.model.config, SETTINGS, asdict(self.settings))
            encoder.model.save_pretrained(output if number == 1 else output / f"copy-{number}")
        self.tokenizer.save_pretrained(output)

    def _members(self, items: Sequence[Item]) -> Tensor:
        return (self.outputs(items) * torch.tensor(self.settings.weights)).sum(dim=2)  # (N, M)


def combined(members: Sequence[Sequence[float]], how: str = "mean", uncertainty: float = 1.0) -> list[float]:
    """One reward an item from those of an ensemble's members (N, M): their mean, the worst of them, or the mean less
    `uncertainty` standard deviations (Coste et al. 2024, eq. 3 to 5)."""
    table = np.asarray(members, dtype=float)
    if how == "mean":
        return table.mean(axis=1).tolist()
    if how == "worst":
        return table.min(axis=1).tolist()
    if how == "uncertainty":
        return (table.mean(axis=1) - uncertainty * table.std(axis=1)).tolist()
    raise ValueError(f"ensemble: expected mean, worst or uncertainty, not {how!r}")


def spread(members: Sequence[Sequence[float]]) -> list[float]:
    """The standard deviation of each item's rewards over the ensemble's members (N, M)."""
    return np.asarray(members, dtype=float).std(axis=1).tolist()
