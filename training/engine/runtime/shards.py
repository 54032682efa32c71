"""Models whose weights are sharded over processes (FSDP 2): reading them whole, and each process's part on the disk."""

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
    """Raises ValueError for launches that would not shard a model as it is done here. state: accelerate's."""
    sharded = os.environ.get("ACCELERATE_USE_FSDP") == "true"
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true" or (sharded and os.environ.get("FSDP_VERSION") != "2"):
        raise ValueError("the engine trainer shards by FSDP 2: accelerate launch --use_fsdp --fsdp_version 2")
    if sharded and state.distributed_type == DistributedType.MULTI_CPU:
        raise ValueError("accelerate shards over accelerators, and there are none: leave out --use_fsdp")


def whole(model: torch.nn.Module) -> dict[str, Any] | None:
    """The weights of a sharded model in the first process, nothing in the others; None for a model that is not sharded.
    All processes must ask."""
    if not any(isinstance(value, DTensor) for value in model.parameters()):
        return None
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def let_go(model: torch.nn.Module) -> None:
    """Drop the parameters that the last pass gathered: without a backward they stay, and the next pass would read them
    whatever was written to the shards since."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def sharded(value: Tensor, like: Tensor) -> Tensor:
    """This process's part as a shard of a tensor like `like`."""
    if not isinstance(like, DTensor):
        return value
    return DTensor.from_local(value, like.device_mesh, like.placements, shape=like.shape, stride=like.stride())


def write(file: Path, values: Mapping[str, Any]) -> None:
    """Write this process's part of the values. All processes must write."""
    part = _part(file)
    aside = part.with_suffix(".partial")
    local = _mapped(values, lambda value: value.to_local() if isinstance(value, DTensor) else value)
    torch.save(checkpoints.marked(local), aside)
    distributed.from_all(None)  # nobody's part takes its place before all are written
    aside.replace(part)


def read(file: Path) -> dict[str, Any] | None:
    """What this process wrote, if as many processes wrote at the same step, told by values["state"]["step"]."""
    part = _part(file)
    values = checkpoints.read(part) if part.exists() else None
    steps = distributed.from_all(values["state"]["step"] if values else None)
    return values if len(set(steps)) == 1 else None


def _part(file: Path) -> Path:
    return file.with_suffix(f".{distributed.rank()}-of-{distributed.processes()}.pt")


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, change) for inner in value]
    return change(value)
