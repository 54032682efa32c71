"""Models sharded over processes (FSDP 2): gather their full weights, and save each process's shard."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from training.engine.runtime import checkpoints, distributed


def check_launch(state: Any) -> None:
    """Raise ValueError for launches that would not shard a model by FSDP 2. state: accelerate's."""
    sharded = os.environ.get("ACCELERATE_USE_FSDP") == "true"
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true" or (sharded and os.environ.get("FSDP_VERSION") != "2"):
        raise ValueError("the engine trainer shards by FSDP 2: accelerate launch --use_fsdp --fsdp_version 2")
    if sharded and state.distributed_type == DistributedType.MULTI_CPU:
        raise ValueError("accelerate shards over accelerators, and there are none: leave out --use_fsdp")


def full_state_dict(model: torch.nn.Module) -> dict[str, Any] | None:
    """Return the full weights of a sharded model in the main process and nothing in the others; None for a model that
    is not sharded. All processes must call this."""
    if not any(isinstance(value, DTensor) for value in model.parameters()):
        return None
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def reshard(model: torch.nn.Module) -> None:
    """Free the parameters that the last forward pass gathered.

    Without a backward pass they stay gathered, and the next pass would ignore what was written to the shards since.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def as_shard(value: Tensor, like: Tensor) -> Tensor:
    """Return this process's part as a shard of a tensor like `like`."""
    if not isinstance(like, DTensor):
        return value
    return DTensor.from_local(value, like.device_mesh, like.placements, shape=like.shape, stride=like.stride())


def write(file: Path, values: Mapping[str, Any]) -> None:
    """Write this process's part of the values. All processes must call this."""
    part = _part(file)
    partial = part.with_suffix(".partial")
    local = _mapped(values, lambda value: value.to_local() if isinstance(value, DTensor) else value)
    torch.save(checkpoints.with_format(local), partial)
    distributed.all_gather(None)  # no part is renamed before all are written
    partial.replace(part)


def read(file: Path) -> dict[str, Any] | None:
    """Return what this process wrote, if equally many processes wrote at the same step, values["state"]["step"]."""
    part = _part(file)
    values = checkpoints.read(part) if part.exists() else None
    steps = distributed.all_gather(values["state"]["step"] if values else None)
    return values if len(set(steps)) == 1 else None


def _part(file: Path) -> Path:
    return file.with_suffix(f".{distributed.rank()}-of-{distributed.world_size()}.pt")


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, change) for inner in value]
    return change(value)
