"""Several processes that train one model, started by `accelerate launch` or torchrun: each reads a share of every
batch's items, all see all outputs, and gradients are added up. The loss is that of one process."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
S = TypeVar("S", bound=Sequence[Any] | Tensor)


_alone = False


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Train something in this process only, whatever the launcher started."""
    global _alone
    _alone = True
    try:
        yield
    finally:
        _alone = False


def join() -> None:
    """Meet the other processes, if the launcher started any."""
    if not _alone and int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        # Outputs are exchanged in host memory, a model's shards (training.engine.preference.trainer) on their device.
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def leave() -> None:
    if together():
        dist.destroy_process_group()


def together() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """This process's number; 0 for the first, also before the processes met."""
    return dist.get_rank() if together() else int(os.environ.get("RANK", "0"))


def first() -> bool:
    """Whether this process writes files and reports."""
    return rank() == 0


def share(items: S) -> S:
    """This process's part of the items; the parts of all, one after another, are the items."""
    if not together():
        return items
    size = share_size(len(items))
    return items[size * rank() : size * (rank() + 1)]  # type: ignore[return-value]


def gathered(outputs: Tensor, total: int) -> Tensor:
    """The outputs of all processes (total, H), of which this one computed its share. Their gradient reaches each
    process's own part."""
    if not together():
        return outputs
    padded = outputs.new_zeros(share_size(total), *outputs.shape[1:])
    padded = torch.cat([outputs, padded[len(outputs) :]])
    with torch.no_grad():
        parts = [torch.empty_like(padded) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, padded.contiguous())
    # The own part is put back with its gradient: every process computes the same loss, so no gradient is missing.
    parts[rank()] = padded
    return torch.cat(parts)[:total]


def add_gradients(parameters: Iterable[Tensor]) -> None:
    """Make every process's gradients the sum of all."""
    if not together():
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)


def agree(model: Any) -> None:
    """Give every process the first one's weights: fresh heads are drawn at random."""
    if together():
        for value in model.state_dict().values():
            dist.broadcast(value, src=0)


def share_size(total: int) -> int:
    """The most items that a process has of so many."""
    return -(-total // processes())


def processes() -> int:
    return dist.get_world_size() if together() else 1


def from_first(value: T) -> T:
    """The first process's value, in every process."""
    held = [value]
    if together():
        dist.broadcast_object_list(held, src=0)
    return held[0]


def from_all(value: T) -> list[T]:
    """Every process's value, in every process."""
    if not together():
        return [value]
    values: list[Any] = [None] * processes()
    dist.all_gather_object(values, value)
    return values


def concatenated(values: Tensor) -> Tensor:
    """All processes' values, equally many of each, one process after another; without gradient."""
    if not together():
        return values.detach()
    parts = [torch.empty_like(values) for _ in range(processes())]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


def added_up(values: Tensor) -> Tensor:
    """The sum of the processes' values, of one shape; without gradient."""
    total = values.detach().clone()
    if together():
        dist.all_reduce(total)
    return total


def raise_together(error: Exception | None) -> None:
    """Raise in every process what one of them met, so that none waits for the others for ever."""
    for met in from_all(error):
        if met is not None:
            raise met


def means(figures: dict[str, float]) -> dict[str, float]:
    """Each figure's mean over the processes, which must all have the same ones."""
    if not together():
        return figures
    values = torch.tensor([figures[name] for name in sorted(figures)], dtype=torch.float64)
    dist.all_reduce(values)
    return dict(zip(sorted(figures), (values / processes()).tolist(), strict=True))
