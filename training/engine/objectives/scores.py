"""The likelihood of raters' scores of a response on a criterion given its output: squared error or an ordinal scale,
with the strictness of raters."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.engine.data.observations import Group, Item, Score
from training.engine.objectives.losses import ordinal, squared_error

LIKELIHOODS = ("squared", "ordinal", "none")
MAX_LEVELS = 11
# A rater's own mean and spread count in full once they have given many more scores than this.
SHRINKAGE = 5
# The spread of raters' strictness before their scores are seen, in standard deviations of the criterion.
SPREAD = 0.5


@dataclass(frozen=True)
class ScoreOptions:
    """How scores are read. likelihood: squared error on standardised scores, an ordinal scale, or not at all.

    by_rater: scores are standardised by each rater's own mean and spread, shrunk to everybody's. intercepts: how
    strict each rater is, is learned with the model. weight: of a score beside a vote.
    """

    likelihood: str = "squared"
    by_rater: bool = False
    intercepts: bool = False
    weight: float = 0.5


@dataclass(frozen=True)
class Scores:
    """S scores on one criterion as tensors (S,): the item's place, the rater's number (0 for unknown ones), the score
    in standard deviations and as a level of the scale, its weight."""

    criterion: str
    place: Tensor
    rater: Tensor
    standard: Tensor
    level: Tensor
    weight: Tensor


class ScoreModel(torch.nn.Module):
    """The likelihood of scores. outputs: column of each criterion among the model's outputs."""

    def __init__(self, options: ScoreOptions, outputs: Mapping[str, int], scores: Sequence[Score]) -> None:
        super().__init__()
        if options.likelihood not in LIKELIHOODS:
            raise ValueError(f"scores: expected {', '.join(LIKELIHOODS)}, not {options.likelihood!r}")
        self.options, self.outputs = options, outputs
        self.scale = _Scale(scores, by_rater=options.by_rater)
        raters = sorted({score.rater for score in scores}) if options.intercepts else []
        self.number = {rater: n for n, rater in enumerate(raters, start=1)}
        self.strictness = torch.nn.Parameter(torch.zeros(len(raters) + 1))
        self.levels = {c: _levels(values) for c, values in _values(scores).items() if c in outputs}
        self.cuts = torch.nn.ParameterDict(
            {str(outputs[c]): torch.nn.Parameter(_even_cuts(len(edges) + 1)) for c, edges in self.levels.items()}
        )

    def forward(self, outputs: Tensor, scores: Sequence[Scores]) -> Tensor:
        """Return the summed loss of the scores given the outputs (N, H) of the items."""
        loss = outputs.new_zeros(())
        for same in scores:
            rows = outputs[same.place, self.outputs[same.criterion]] - self.strictness[same.rater]
            loss = loss + (same.weight * self._losses(rows, same)).sum()
        return loss

    def prepare(self, groups: Sequence[Group], place: Mapping[Item, int]) -> list[Scores]:
        """Return the groups' scores by criterion. place: the index of each item among the outputs."""
        if self.options.likelihood == "none":
            return []
        by_criterion: dict[str, list[Score]] = defaultdict(list)
        for group in groups:
            for score in group.scores:
                if score.criterion in self.levels:
                    by_criterion[score.criterion].append(score)
        return [
            Scores(
                criterion=criterion,
                place=torch.tensor([place[score.item] for score in scores]),
                rater=torch.tensor([self.number.get(score.rater, 0) for score in scores]),
                standard=torch.tensor([self.scale.standard(score) for score in scores]),
                level=torch.tensor(
                    [int(np.searchsorted(self.levels[criterion], score.value, side="right")) for score in scores]
                ),
                weight=self.options.weight * torch.tensor([score.weight for score in scores]),
            )
            for criterion, scores in by_criterion.items()
        ]

    def prior(self) -> Tensor:
        """Negative log of a normal prior of the raters' strictness, up to a constant."""
        return (self.strictness**2).sum() / (2 * SPREAD**2)

    def _losses(self, rows: Tensor, scores: Scores) -> Tensor:
        if self.options.likelihood == "squared":
            return squared_error(rows, scores.standard)
        steps = self.cuts[str(self.outputs[scores.criterion])]
        cuts = torch.cat([steps[:1], steps[:1] + torch.nn.functional.softplus(steps[1:]).cumsum(0)])
        return ordinal(rows, scores.level, cuts.expand(len(rows), -1))


class _Scale:
    """Scores in standard deviations from the mean of their criterion, or of the rater on it."""

    def __init__(self, scores: Sequence[Score], *, by_rater: bool) -> None:
        self.by_rater = by_rater
        self.common = {c: (float(np.mean(v)), float(np.std(v)) or 1.0) for c, v in _values(scores).items()}
        own: dict[tuple[str, str], list[float]] = defaultdict(list)
        for score in scores:
            own[score.criterion, score.rater].append(score.value)
        self.own = {key: self._shrunk(key[0], values) for key, values in own.items()}

    def standard(self, score: Score) -> float:
        common = self.common[score.criterion]
        mean, spread = self.own.get((score.criterion, score.rater), common) if self.by_rater else common
        return (score.value - mean) / spread

    def _shrunk(self, criterion: str, values: Sequence[float]) -> tuple[float, float]:
        mean, spread = self.common[criterion]
        n = len(values)
        own_mean = (sum(values) + SHRINKAGE * mean) / (n + SHRINKAGE)
        own_variance = (n * float(np.var(values)) + SHRINKAGE * spread**2) / (n + SHRINKAGE)
        return own_mean, own_variance**0.5 or 1.0


def _values(scores: Sequence[Score]) -> dict[str, list[float]]:
    values: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        values[score.criterion].append(score.value)
    return values


def _levels(values: Sequence[float]) -> np.ndarray:
    """The edges between levels: between all distinct values, or MOST_LEVELS parts of like size of a finer scale."""
    distinct = np.unique(values)
    if len(distinct) <= MAX_LEVELS:
        return (distinct[:-1] + distinct[1:]) / 2
    return np.unique(np.quantile(values, np.arange(1, MAX_LEVELS) / MAX_LEVELS))


def _even_cuts(levels: int) -> Tensor:
    """First cut and steps (before softplus) of evenly spaced cuts around 0."""
    cuts = max(levels - 1, 1)
    return torch.tensor([-(cuts - 1) / 2, *[0.54] * (cuts - 1)])
