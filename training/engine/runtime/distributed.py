"""Train one model in several processes that `accelerate launch` or torchrun started.

Each process reads its share of every batch, all of them see all outputs, and gradients are summed, so the loss is the
one that a single process would compute.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
S = TypeVar("S", bound=Sequence[Any] | Tensor)


_single_process = False


@contextlib.contextmanager
def single_process() -> Iterator[None]:
    """Train in this process only, whatever the launcher started."""
    global _single_process
    _single_process = True
    try:
        yield
    finally:
        _single_process = False


def join() -> None:
    """Join the process group, if the launcher started several processes."""
    if not _single_process and int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        # Outputs are exchanged in host memory, a model's shards (training.engine.preference.trainer) on their device.
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def leave() -> None:
    """Leave the process group."""
    if is_distributed():
        dist.destroy_process_group()


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Return this process's number: 0 for the main process, also before the processes have joined."""
    return dist.get_rank() if is_distributed() else int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Return whether this process writes files and reports."""
    return rank() == 0


def local_share(items: S) -> S:
    """Return this process's part of the items; the parts of all processes in rank order are the items."""
    if not is_distributed():
        return items
    size = local_size(len(items))
    return items[size * rank() : size * (rank() + 1)]  # type: ignore[return-value]


def gather_outputs(outputs: Tensor, total: int) -> Tensor:
    """Return the outputs of all processes (total, H), of which this one computed its share.

    Gradient flows back into each process's own part only.
    """
    if not is_distributed():
        return outputs
    padded = outputs.new_zeros(local_size(total), *outputs.shape[1:])
    padded = torch.cat([outputs, padded[len(outputs) :]])
    with torch.no_grad():
        parts = [torch.empty_like(padded) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, padded.contiguous())
    # The local part is put back with its gradient: every process computes the same loss, so no gradient is missing.
    parts[rank()] = padded
    return torch.cat(parts)[:total]


def reduce_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every process's gradients with their sum."""
    if not is_distributed():
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)


def broadcast_weights(model: Any) -> None:
    """Give every process the main process's weights: fresh heads are initialised at random."""
    if is_distributed():
        for value in model.state_dict().values():
            dist.broadcast(value, src=0)


def local_size(total: int) -> int:
    """Return the largest number of items that one process gets out of `total`."""
    return -(-total // world_size())


def world_size() -> int:
    return dist.get_world_size() if is_distributed() else 1


def broadcast(value: T) -> T:
    """Return the main process's value in every process."""
    values = [value]
    if is_distributed():
        dist.broadcast_object_list(values, src=0)
    return values[0]


def all_gather(value: T) -> list[T]:
    """Return every process's value in every process."""
    if not is_distributed():
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def all_gather_tensor(values: Tensor) -> Tensor:
    """Return all processes' values concatenated in rank order, equally many of each; without gradient."""
    if not is_distributed():
        return values.detach()
    parts = [torch.empty_like(values) for _ in range(world_size())]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


def all_reduce_sum(values: Tensor) -> Tensor:
    """Return the sum of the processes' values, which have one shape; without gradient."""
    total = values.detach().clone()
    if is_distributed():
        dist.all_reduce(total)
    return total


def raise_on_all(error: Exception | None) -> None:
    """Raise one process's error in every process, so that none waits for the others forever."""
    for raised in all_gather(error):
        if raised is not None:
            raise raised


def all_reduce_means(figures: dict[str, float]) -> dict[str, float]:
    """Return each figure's mean over the processes, which must all have the same figures."""
    if not is_distributed():
        return figures
    values = torch.tensor([figures[name] for name in sorted(figures)], dtype=torch.float64)
    dist.all_reduce(values)
    return dict(zip(sorted(figures), (values / world_size()).tolist(), strict=True))
