"""Linear layers in 8-bit integers, for scoring on a processor: made when a model is opened, never saved."""

import warnings
from typing import Any

import torch
from torch import nn

from training.engine.models.encoder import device
from training.engine.models.small_models import CLASSES

PRECISIONS = ("float32", "int8")
# Their time goes into counting or convolving, not into linear layers; a probe has a whole encoder.
WITHOUT = {config.model_type for name, (config, _) in CLASSES.items() if name != "probe"}


def quantised(model: Any, precision: str) -> Any:
    """The model as it is (float32), or with weights of its nn.Linear layers in int8, changed in place: each layer's
    inputs are quantised as they come, with one scale for a batch (dynamic quantisation), everything else stays float32.
    So a text's output depends a little on the texts that are read with it.

    Raises ValueError for a precision or a model with which this cannot work.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected {', '.join(PRECISIONS)}, not {precision!r}")
    if precision == "float32":
        return model
    if device().type != "cpu":
        raise ValueError("precision int8 is for processors; an accelerator is faster in float32")
    kind = model.config.model_type
    if kind in WITHOUT or sum(isinstance(module, nn.Linear) for module in model.modules()) < 2:
        raise ValueError(f"precision int8: a model of type {kind} has no linear layers but its head; use float32")
    with warnings.catch_warnings():
        # torch 2.13 still carries this and calls it deprecated; its successor is a package of its own (decisions, 30).
        warnings.simplefilter("ignore")
        from torch.ao.quantization import quantize_dynamic

        return quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8, inplace=True)
