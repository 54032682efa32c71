"""Checks for infinite numbers and NaN, with which training cannot continue."""

from collections.abc import Iterable

import torch
from torch import Tensor


class NonFiniteError(ValueError):
    """A loss, reward, gradient, figure or weight is infinite or not a number."""


def check_finite(name: str, values: Iterable[float]) -> None:
    """Raise NonFiniteError naming the quantity and its first value that is not finite."""
    for value in values:
        if not abs(value) < float("inf"):
            raise NonFiniteError(f"{name} is not finite ({value})")


def check_weights(named: Iterable[tuple[str, Tensor]]) -> None:
    """Raise NonFiniteError naming the first tensor of a model that is not finite throughout."""
    for name, tensor in named:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise NonFiniteError(f"the weights of {name} are not finite")
