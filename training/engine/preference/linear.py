"""Fit a linear preference model: compute the features once, then solve the convex problem instead of using batches."""

import copy
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from training.engine.data.observations import Group, Item, items_of
from training.engine.models.encoder import Encoder
from training.engine.preference.likelihood import Likelihood, Observations
from training.engine.runtime.progress import Reporter, advance

# Candidate ridge penalties, strongest first: each fit starts from the weights of the previous one.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
# Weaker penalties are not tried after this many consecutive ones without improvement.
PATIENCE = 2
FOLDS = 5
# How often the fits of raters and weights alternate.
ALTERNATIONS = 2
CHUNK = 64


@dataclass(frozen=True)
class LinearFit:
    """loss: mean out-of-fold negative log-likelihood per observation. out_of_fold: each item's outputs (M, H) by the
    model trained without its group of prompts, shifted to the mean of the final model's outputs."""

    loss: float
    out_of_fold: dict[Item, Tensor]


def fit_linear(
    encoder: Encoder,
    likelihood: Likelihood,
    train: Sequence[Group],
    validation: Sequence[Group],
    reporter: Reporter,
) -> LinearFit:
    """Fit `reader.model.score` to both splits by L-BFGS, with the ridge penalty that foretells best what is left out:
    cross-validation over groups of prompts. The other weights of the model are left alone."""
    groups = [*train, *validation]
    items = items_of(groups)
    x = _features(encoder, items)
    if hasattr(encoder.model, "mean"):
        x = _standardised(encoder.model, x)
    x, axes = _rotated(x)
    folds = [_Fold(x, items, likelihood, learned, left_out) for learned, left_out in _make_folds(train, validation)]
    penalty, best, out_of_fold = _choose_penalty(folds, reporter)
    whole = _ConvexFit(x, copy.deepcopy(likelihood), likelihood.prepare(groups, items))
    whole.minimize(penalty)
    likelihood.load_state_dict(whole.likelihood.state_dict())
    outputs = whole.outputs()
    with torch.no_grad():
        encoder.model.score.weight.copy_(whole.score.weight @ axes)
        encoder.model.score.bias.copy_(whole.score.bias)
    return LinearFit(best, _align_to_final(folds, out_of_fold, outputs, items))


class _ConvexFit:
    """The convex problem for observations of items with features x (N, D)."""

    def __init__(self, x: Tensor, likelihood: Likelihood, observations: Observations) -> None:
        self.x, self.likelihood, self.observations = x, likelihood, observations
        self.start = copy.deepcopy(likelihood.state_dict())
        settings = likelihood.settings
        self.shape = (len(x), settings.heads, len(settings.outputs))
        self.score = torch.nn.Linear(x.shape[1], settings.heads * len(settings.outputs))
        for parameter in self.score.parameters():
            torch.nn.init.zeros_(parameter)

    def minimize(self, penalty: float) -> None:
        """Continue from the last weights and reset the raters' parameters.

        Under a strong penalty rewards explain little and all raters look unreliable, an optimum that later fits would
        not leave. Weights and raters are fitted alternately: a rater may have a hundred-thousandth of the votes, so a
        joint descent would not move its parameter.
        """
        self.likelihood.load_state_dict(self.start)
        votes = self.likelihood.votes
        weights = [
            *self.score.parameters(),
            votes.tie,
            votes.position_bias,
            votes.ties,
            *self.likelihood.scores.parameters(),
        ]
        _minimize(weights, lambda: self._loss(penalty))
        for _ in range(ALTERNATIONS if votes.options.reliability else 0):
            _minimize([votes.mean_reliability, votes.rater], partial(self._summed_loss, self.outputs()))
            _minimize(weights, lambda: self._loss(penalty))

    def _loss(self, penalty: float) -> Tensor:
        outputs = self.score(self.x).view(self.shape)
        return self.likelihood(outputs, self.observations) + penalty * (self.score.weight**2).sum() / 2

    def _summed_loss(self, outputs: Tensor) -> Tensor:
        """Return the sum instead of the mean, so that the contribution of one rater has a scale of one."""
        return self.likelihood(outputs, self.observations) * self.likelihood.total

    @torch.no_grad()
    def outputs(self) -> Tensor:
        """(N, M, H)"""
        return self.score(self.x).view(self.shape)


def _minimize(parameters: Sequence[Tensor], loss: Callable[[], Tensor]) -> None:
    """Minimise the loss by L-BFGS."""
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=60, history_size=20, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value.detach()

    optimizer.step(closure)


class _Fold(_ConvexFit):
    """A fit without some groups, and its loss on their observations."""

    def __init__(
        self,
        x: Tensor,
        items: Sequence[Item],
        likelihood: Likelihood,
        learned: Sequence[Group],
        left_out: Sequence[Group],
    ) -> None:
        super().__init__(x, copy.deepcopy(likelihood), likelihood.prepare(learned, items))
        self.left_out = items_of(left_out)
        self.unseen = likelihood.prepare(left_out, items, whole=True)

    def out_of_fold(self, penalty: float) -> tuple[Tensor, float]:
        """Return the outputs (N, M, H) of the model trained without the held-out groups, and its summed loss on
        them."""
        self.minimize(penalty)
        outputs = self.outputs()
        with torch.no_grad():
            return outputs, float(self.likelihood.observed(outputs, self.unseen)) * self.unseen.total


def _make_folds(train: Sequence[Group], validation: Sequence[Group]) -> Iterable[tuple[list[Group], list[Group]]]:
    """Return (training, held-out) groups of up to FOLDS folds that keep groups of prompts together; with a single group
    of prompts the validation split is held out."""
    groups = [*train, *validation]
    names = sorted({_name(group) for group in groups}, key=lambda name: zlib.crc32(name.encode()))
    if len(names) == 1:
        return [(list(train), list(validation))]
    fold = {name: n % FOLDS for n, name in enumerate(names)}
    return [
        (
            [group for group in groups if fold[_name(group)] != k],
            [group for group in groups if fold[_name(group)] == k],
        )
        for k in range(min(FOLDS, len(names)))
    ]


def _name(group: Group) -> str:
    return (group.pairs and group.pairs[0].group) or group.items[0][0]


def _choose_penalty(folds: Sequence[_Fold], reporter: Reporter) -> tuple[float, float, list[Tensor]]:
    """Return the best penalty, its mean loss, and the folds' outputs with it."""
    total = sum(fold.unseen.total for fold in folds)
    penalty, best, best_outputs, worse = 0.0, math.inf, [], 0
    for number, tried in enumerate(PENALTIES, start=1):
        results = [fold.out_of_fold(tried) for fold in folds]
        loss = sum(summed for _, summed in results) / total
        reporter.metric(number, validation_loss=loss)
        reporter.log(f"ridge penalty {tried:g}: out-of-fold loss {loss:.4f}")
        advance(reporter, number, len(PENALTIES))
        worse += 1
        if loss < best:
            penalty, best, best_outputs, worse = tried, loss, [outputs for outputs, _ in results], 0
        if worse == PATIENCE:
            break
    advance(reporter, len(PENALTIES), len(PENALTIES))  # weaker penalties are skipped
    if not best_outputs:
        raise ValueError("the loss is not a number for any ridge penalty")
    return penalty, best, best_outputs


def _align_to_final(
    folds: Sequence[_Fold], out_of_fold: Sequence[Tensor], final: Tensor, items: Sequence[Item]
) -> dict[Item, Tensor]:
    row = {item: n for n, item in enumerate(items)}
    aligned: dict[Item, Tensor] = {}
    for fold, outputs in zip(folds, out_of_fold, strict=True):
        rows = [row[item] for item in fold.left_out]
        shift = (final[rows] - outputs[rows]).mean(0)
        aligned.update(zip(fold.left_out, outputs[rows] + shift, strict=True))
    return aligned


@torch.no_grad()
def _features(encoder: Encoder, items: Sequence[Item]) -> Tensor:
    """Return the model's features (N, D) of the items."""
    encoder.prepare(items)
    features: dict[Item, Tensor] = {}
    by_length = sorted(items, key=encoder.length)
    for start in range(0, len(by_length), CHUNK):
        part = by_length[start : start + CHUNK]
        batch = encoder.batch(part)
        rows = encoder.model.features(batch.pop("input_ids"), batch.pop("attention_mask"), **batch)
        features.update(zip(part, rows, strict=True))
    return torch.stack([features[item] for item in items])


def _standardised(model: Any, x: Tensor) -> Tensor:
    """Return x (N, D) with standardized columns except the last one, the length; the model stores mean and spread."""
    size = len(model.mean)
    mean, spread = x[:, :size].mean(0), x[:, :size].std(0).clamp(min=1e-4)
    # Many columns are correlated: together they should not outweigh the length.
    spread = spread * math.sqrt(size)
    model.mean.copy_(mean)
    model.spread.copy_(spread)
    return torch.cat([(x[:, :size] - mean) / spread, x[:, size:]], dim=1)


def _rotated(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x (N, D) as coordinates (N, d) on orthonormal axes (d, D), which leaves a ridge penalty unchanged and has
    fewer columns where there are fewer items than features."""
    if len(x) >= x.shape[1]:
        return x, torch.eye(x.shape[1])
    axes, rest = torch.linalg.qr(x.T)
    return rest.T, axes.T
