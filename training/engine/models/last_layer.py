"""A decoder's last layer at the places that are read, and nowhere else.

Of the last layer's states only those that a head reads count; all other places lend it their keys and values. So its
queries, its products behind the attention and their gradients need not be computed there. The layer does it itself,
called twice: first up to where it hands its keys and values to a cache, then at the places alone, with a cache that
gives those back. Not every model's layer can be called so: who reads by this tries it first.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch import Tensor, nn

# What a layer may call its cache.
CACHES = ("past_key_values", "layer_past")


@contextmanager
def last_layer_at(body: nn.Module, layers: int, places: Tensor) -> Iterator[None]:
    """The body's last states are those at `places` (B, E) of its B rows, (B, E, D) instead of (B, L, D), as long as
    this lasts. layers: how many it has. The body must be given an additive mask and no cache. Raises ValueError where
    the model is built otherwise; GPT-2 raises RuntimeError itself, for it counts its states."""
    stack = next((m for m in body.modules() if isinstance(m, nn.ModuleList) and len(m) == layers), None)
    if stack is None:
        raise ValueError(f"the model has no list of {layers} layers")

    def narrowed(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return _select_inputs(layer, args, named, places)

    hook = stack[-1].register_forward_pre_hook(narrowed, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _select_inputs(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any], places: Tensor) -> Any:
    """The arguments of a call of the layer on the states at the places alone."""
    names = list(inspect.signature(layer.forward).parameters)
    arguments = {**dict(zip(names, args, strict=False)), **named}
    cache = next((name for name in CACHES if name in arguments), CACHES[0])
    arguments[cache] = capture = _CaptureCache()
    with suppress(_Captured):
        layer.forward(**arguments)
    if capture.states is None:
        raise ValueError("the model's last layer asks no cache for keys and values")
    arguments[names[0]] = _gather(arguments[names[0]], places, 1)
    arguments["attention_mask"] = _gather(arguments["attention_mask"], places, 2)
    if arguments.get("position_ids") is not None:
        arguments["position_ids"] = _gather(arguments["position_ids"], places, 1)
    if arguments.get("position_embeddings") is not None:
        arguments["position_embeddings"] = tuple(_gather(part, places, 1) for part in arguments["position_embeddings"])
    return (), arguments


class _Captured(Exception):
    """The layer has handed over its keys and values: there is nothing more to compute."""


class _CaptureCache:
    """A cache, as far as a layer knows: the first time it takes keys and values and ends the call, then it gives them
    back."""

    def __init__(self) -> None:
        self.states: tuple[Tensor, Tensor] | None = None

    def update(self, keys: Tensor, values: Tensor, *args: Any, **named: Any) -> tuple[Tensor, Tensor]:
        if self.states is None:
            self.states = keys, values
            raise _Captured
        return self.states


def _gather(values: Tensor, places: Tensor, dim: int) -> Tensor:
    """What stands at the places (B, E) of dimension `dim` of the values, whose first dimension is B or 1."""
    values = values.expand(len(places), *values.shape[1:])
    shape = [len(places), *[1] * (values.dim() - 1)]
    shape[dim] = places.shape[1]
    at = places.view(shape).expand(*values.shape[:dim], places.shape[1], *values.shape[dim + 1 :])
    return values.gather(dim, at)
