"""Compute linear layers with oneDNN where it is faster than torch's default.

torch multiplies float32 with MKL, which uses half of the vector units on processors that are not Intel's. It calls
oneDNN once lower precision is permitted; oneDNN then lowers the precision only on processors with AMX and computes in
float32 elsewhere. Speed and precision are both measured on the processor at hand.

A pass with gradient may compute these products alone in bfloat16. Everything else, such as attention, stays float32;
this is faster than autocast (docs/decisions/0050-bfloat16-in-products-only.md).
"""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_SPEEDUP = 1.2
MAX_ERROR = 1e-3  # of entries of size 16 or so: float32 is off by 1e-5, bfloat16 by 0.1


def with_onednn(model: Any) -> Any:
    """Return the model with linear layers that use oneDNN where it is faster; weights keep their names and values."""
    if is_faster():
        for layer in model.modules():
            if type(layer) is nn.Linear:
                layer.__class__ = _Linear
    return model


@functools.cache
def is_faster() -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(rows, 256, generator=generator) for rows in (512, 720))
    exact = F.linear(x.double(), weight.double())
    with _by_onednn():
        error = (F.linear(x, weight) - exact).abs().max().item()
        seconds = _seconds(lambda: F.linear(x, weight))
    return error <= MAX_ERROR and _seconds(lambda: F.linear(x, weight)) >= MIN_SPEEDUP * seconds


def uses_onednn(model: Any) -> bool:
    return any(type(layer) is _Linear for layer in model.modules())


_rounding = ContextVar("rounding", default=False)


@contextmanager
def in_bfloat16() -> Iterator[None]:
    """Compute the products of oneDNN layers, and of their gradients, in bfloat16."""
    token = _rounding.set(True)
    try:
        yield
    finally:
        _rounding.reset(token)


def _seconds(product: Callable[[], Tensor]) -> float:
    taken = []
    for _ in range(7):
        start = time.process_time()
        product()
        taken.append(time.process_time() - start)
    return min(taken)


@contextmanager
def _by_onednn() -> Iterator[None]:
    settings: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = settings.fp32_precision
    settings.fp32_precision = "bf16"
    try:
        yield
    finally:
        settings.fp32_precision = before


class _Linear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        if input.dtype != torch.float32 or self.weight.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        if torch.is_grad_enabled():
            return _Product.apply(input, self.weight, self.bias, torch.bfloat16 if _rounding.get() else torch.float32)
        with _by_onednn():
            return super().forward(input)


class _Product(torch.autograd.Function):
    """x Wᵀ + b with both products of its gradient computed by oneDNN in `dtype`; inputs and outputs are float32.

    The setting is limited to these products: it would slow down attention, whose products are small.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        x, weight = x.to(dtype), weight.to(dtype)
        of_x, of_weight, *_ = ctx.needs_input_grad
        ctx.dtype = dtype
        # With an adapter the weights are frozen, so there is no need to save the input.
        ctx.save_for_backward(x if of_weight else None, weight if of_x else None)
        with _by_onednn():
            return F.linear(x, weight, None if bias is None else bias.to(dtype)).float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        of_bias = gradients[0].flatten(0, -2).sum(dim=0) if ctx.needs_input_grad[2] else None
        gradient = gradients[0].to(ctx.dtype)
        with _by_onednn():
            of_x = (gradient @ weight).float() if ctx.needs_input_grad[0] else None
            rows = gradient.flatten(0, -2).t()
            of_weight = (rows @ x.flatten(0, -2)).float() if ctx.needs_input_grad[1] else None
        return of_x, of_weight, of_bias, None
