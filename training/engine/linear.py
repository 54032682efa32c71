"""Fitting a linear preference model: features once, then the convex problem itself instead of batches."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.engine.likelihood import Likelihood, Said
from training.engine.observations import Group, Item, items_of
from training.engine.progress import Reporter, advance
from training.engine.reading import Reader

# Ridge penalties to choose from by the validation loss, strongest first: each fit starts from the last one's weights.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
CHUNK = 64


def fit_linear(
    reader: Reader,
    likelihood: Likelihood,
    train: Sequence[Group],
    validation: Sequence[Group],
    reporter: Reporter,
) -> float:
    """Fit `reader.model.score` by L-BFGS with the ridge penalty that the validation split likes best; returns its
    loss there. The other weights of the model are left alone."""
    items, held_out = items_of(train), items_of(validation)
    features, features_held_out = _features(reader, items), _features(reader, held_out)
    if hasattr(reader.model, "mean"):
        features, features_held_out = _standardised(reader.model, features, features_held_out)
    said, said_held_out = (
        likelihood.prepare(train, items),
        likelihood.prepare(validation, held_out, whole=True),
    )
    score, heads = reader.model.score, likelihood.settings.heads
    start = copy.deepcopy(likelihood.state_dict())
    best, kept = math.inf, None
    for number, penalty in enumerate(PENALTIES, start=1):
        # Under a strong penalty rewards explain little and all raters look unreliable, a place that the next fit would
        # not leave: what is learned of the raters begins anew.
        likelihood.load_state_dict(start)
        _minimise(score, likelihood, features.view(len(items), -1), said, penalty, heads)
        with torch.no_grad():
            outputs = score(features_held_out).view(len(held_out), heads, -1)
            loss = float(likelihood.observed(outputs, said_held_out))
        reporter.metric(number, validation_loss=loss)
        reporter.log(f"ridge {penalty:g}: validation loss {loss:.4f}")
        if loss < best:
            best, kept = loss, copy.deepcopy((score.state_dict(), likelihood.state_dict()))
        advance(reporter, number, len(PENALTIES))
    if kept is None:
        raise ValueError("the loss is not a number for any ridge penalty")
    score.load_state_dict(kept[0])
    likelihood.load_state_dict(kept[1])
    return best


def _minimise(
    score: torch.nn.Linear, likelihood: Likelihood, x: Tensor, said: Said, penalty: float, heads: int
) -> None:
    parameters = [*score.parameters(), *likelihood.parameters()]
    optimizer = torch.optim.LBFGS(parameters, max_iter=60, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = likelihood(score(x).view(len(x), heads, -1), said) + penalty * (score.weight**2).sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)


@torch.no_grad()
def _features(reader: Reader, items: Sequence[Item]) -> Tensor:
    """Features (N, D) of the items, as the model itself makes them."""
    reader.prepare(items)
    found: dict[Item, Tensor] = {}
    by_length = sorted(items, key=reader.length)
    for start in range(0, len(by_length), CHUNK):
        part = by_length[start : start + CHUNK]
        batch = reader.batch(part)
        rows = reader.model.features(batch.pop("input_ids"), batch.pop("attention_mask"), **batch)
        found.update(zip(part, rows, strict=True))
    return torch.stack([found[item] for item in items])


def _standardised(model: Any, train: Tensor, held_out: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the mean and spread of the training features, which the model keeps; the last column, the length,
    is left as it is."""
    size = len(model.mean)
    mean, spread = train[:, :size].mean(0), train[:, :size].std(0).clamp(min=1e-4)
    # Many columns say the same: together they should not outweigh the length.
    spread = spread * math.sqrt(size)
    model.mean.copy_(mean)
    model.spread.copy_(spread)

    def scaled(x: Tensor) -> Tensor:
        return torch.cat([(x[:, :size] - mean) / spread, x[:, size:]], dim=1)

    return scaled(train), scaled(held_out)
