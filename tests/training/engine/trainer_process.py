"""What torchrun runs in test_trainer: a training by Trainer in several processes, each telling its losses and which
weights it held a part of; or one that is interrupted at some step."""

import contextlib
import json
import os
import sys
from pathlib import Path

from torch.distributed.tensor import DTensor

from tests.training.engine.test_preference import CancelAt, Curve, train
from training.engine.preference.trainer import ShardedFit
from training.engine.runtime.progress import Cancelled

SHARDED: set[str] = set()


def main(base: str, folder: str, stop: str = "") -> None:
    _note_shards()
    if os.environ.get("ACCELERATE_USE_FSDP"):
        _shard_on_processors()
    curve, run = Curve(), Path(folder)
    options = {"config": {"engine": "trainer", "precision": "float32"}, "checkpoints": run}
    if stop:
        with contextlib.suppress(Cancelled):
            train(run / "no", base, reporter=CancelAt(int(stop)), **options)
        return
    train(run / "model", base, reporter=curve, **options)
    result = {"losses": curve.losses, "sharded": sorted(SHARDED)}
    (run / f"{os.environ['RANK']}.json").write_text(json.dumps(result))


def _note_shards() -> None:
    evaluate = ShardedFit._evaluate

    def noted(self, *args):
        parts = {n: p for n, p in self.trainable.items() if isinstance(p, DTensor)}
        SHARDED.update(n for n, p in parts.items() if p.to_local().numel() < p.numel())
        evaluate(self, *args)

    ShardedFit._evaluate = noted


def _shard_on_processors() -> None:
    """accelerate takes up FSDP where there are accelerators: let it think that these processes have some."""
    from accelerate import state, utils

    make = state.PartialState.__init__

    def made(self, *args, **kwargs):
        make(self, *args, **kwargs)
        if self.distributed_type == utils.DistributedType.MULTI_CPU:
            self.distributed_type = state.PartialState._shared_state["distributed_type"] = (
                utils.DistributedType.MULTI_GPU
            )

    state.PartialState.__init__ = made


if __name__ == "__main__":
    main(*sys.argv[1:])
