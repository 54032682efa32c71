"""The loop of transformers' Trainer for models that do not fit one device: `accelerate launch --use_fsdp` shards
weights, gradients and optimizer state over processes. Batches, likelihood, evaluation and the selection of the best
weights are those of training.engine.preference.fitting."""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from training.engine.data.observations import Group, Item, items_of
from training.engine.models.encoder import ROWS
from training.engine.preference.fitting import (
    Fit,
    State,
    Weights,
    body_and_head,
    likelihood_group,
    should_evaluate,
    warmup_schedule,
)
from training.engine.runtime import distributed, shards
from training.engine.runtime.progress import advance


class ShardedFit(Fit):
    """A fit with Trainer's loop. If the model is sharded, `whole` has its best weights in the main process."""

    model: Any = None  # the reader's, as Trainer wrapped it
    loss = 0.0
    whole: dict[str, Tensor] | None = None

    def run(self, train: Sequence[Group], validation: Sequence[Group]) -> State:
        self.encoder.prepare(items_of([*train, *validation]))
        epochs, total = self._schedule_length(train)
        batches: list[list[Group]] = []
        epochs_at_step = {}  # step: epochs that are done by then
        for epoch in range(epochs):
            batches += self._batches(train, epoch)
            if should_evaluate(epoch + 1, epochs):
                epochs_at_step[math.ceil(len(batches) / self.options.gradient_accumulation_steps)] = epoch + 1
        self.checkpoint = distributed.broadcast(self.checkpoint)
        checkpoint = shards.read(self.checkpoint) if self.checkpoint else None
        self.state = State(**checkpoint["state"]) if checkpoint else State()
        self.trainable = {}  # sharding replaces the parameters: no reference to the old ones may remain
        trainer = _Trainer(self, batches[self.state.step * self.options.gradient_accumulation_steps :], total)

        def evaluate() -> None:
            if self.state.step in epochs_at_step:
                self.state.epoch = epochs_at_step[self.state.step]
                self._evaluate(validation, epochs)
                self._write(trainer.optimizer)

        trainer.add_callback(_EachStep(self, trainer, checkpoint, total, evaluate))
        trainer.train()
        self._restore_best()
        self.encoder.model.eval()
        self.whole = shards.full_state_dict(self.model)
        return self.state

    def training_loss(self, groups: Sequence[Group]) -> Tensor:
        """Return the loss of a batch, with a gradient whose mean over processes is that of a single process."""
        items = items_of(groups)
        outputs = self._outputs(items, self.options.bfloat16)
        # Each process has the gradient of its own share only: the sum is needed, and Trainer takes the mean.
        outputs = outputs.detach() + distributed.world_size() * (outputs - outputs.detach())
        loss = self.likelihood(outputs, self.likelihood.prepare(groups, items))
        self.loss = loss.item()
        if not math.isfinite(self.loss):
            self._stop_on_non_finite([groups])
        return loss

    def restore_checkpoint(self, checkpoint: Mapping[str, Any], optimizer: Any) -> None:
        """Resume from a checkpoint written by `_write`."""
        for values in (checkpoint["last"]["model"], checkpoint["best"]["model"], checkpoint["ema"]):
            values.update({name: shards.as_shard(value, self.trainable[name]) for name, value in values.items()})
        self._restore(Weights(**checkpoint["last"]))
        self.best, self.ema = Weights(**checkpoint["best"]), checkpoint["ema"]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for number, values in checkpoint["model_optimizer"]["state"].items():
            for name in ("exp_avg", "exp_avg_sq"):
                values[name] = shards.as_shard(values[name], parameters[number])
        optimizer.load_state_dict(checkpoint["model_optimizer"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.reporter.resume_at(checkpoint["position"])
        self.reporter.log(f"resumed from step {self.state.step}")

    def _write(self, optimizer: Any) -> None:
        if self.checkpoint is None:
            return
        checkpoint = {
            "state": vars(self.state),
            "position": self.reporter.position(),
            "last": vars(self._weights()),
            "best": vars(self.best),
            "ema": self.ema,
            "model_optimizer": optimizer.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        shards.write(self.checkpoint, checkpoint)

    def _optimizer(self) -> Optimizer:
        """Return the likelihood's optimizer, equal in all processes; Trainer has the model's optimizer."""
        return AdamW([likelihood_group(self.likelihood)])

    def _outputs(self, items: Sequence[Item], bfloat16: bool) -> Tensor:
        """Return outputs (N, M, H). All processes run the same number of passes, since each pass gathers all shards."""
        mine = distributed.local_share(items)
        order = sorted(range(len(mine)), key=lambda n: self.encoder.length(mine[n]))
        passes = []
        for start in range(0, distributed.local_size(len(items)), ROWS):
            part = [mine[n] for n in order[start : start + ROWS]] or items[:1]
            passes.append(self.model(**self.encoder.batch(part)).logits.float().cpu())
        back = torch.tensor(order, dtype=torch.long).argsort()
        outputs = distributed.gather_outputs(torch.cat(passes)[: len(mine)][back], len(items))
        return outputs.view(len(items), self.likelihood.settings.heads, -1)

    def _restore(self, weights: Weights) -> None:
        shards.reshard(self.model)
        super()._restore(weights)


class _EachStep(TrainerCallback):
    """Runs Palate's part of each step: likelihood, average of the weights, evaluation and progress."""

    def __init__(
        self,
        fit: ShardedFit,
        trainer: Trainer,
        checkpoint: Mapping[str, Any] | None,
        total: int,
        evaluate: Callable[[], None],
    ) -> None:
        self.fit, self.trainer, self.checkpoint, self.total, self.evaluate = fit, trainer, checkpoint, total, evaluate

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        fit = self.fit
        fit.model = self.trainer.model_wrapped
        fit.trainable = {name: p for name, p in fit.encoder.model.named_parameters() if p.requires_grad}
        self.schedule = warmup_schedule(fit.optimizer, self.total, done=fit.state.step)
        if self.checkpoint:
            fit.restore_checkpoint(self.checkpoint, self.trainer.optimizer)

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        torch.manual_seed(self.fit.options.seed * 1_000_003 + self.fit.state.step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        fit = self.fit
        if not fit.state.stopped:
            fit.optimizer.step()
            fit.optimizer.zero_grad()
            self.schedule.step()
            fit.update_ema()
            fit.state.step += 1
            if fit.state.step % 5 == 0:
                fit.reporter.metric(fit.state.step, loss=fit.loss)
            self.evaluate()
            advance(fit.reporter, min(fit.state.step, self.total), self.total)
        control.should_training_stop |= bool(fit.state.stopped)


class _Trainer(Trainer):
    model: Any
    optimizer: Any
    train_dataset: Any

    def __init__(self, fit: ShardedFit, batches: list[list[Group]], total: int) -> None:
        self.fit, self.total = fit, total
        arguments = TrainingArguments(
            output_dir=tempfile.gettempdir(),  # unused: ShardedFit saves the weights
            num_train_epochs=1,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=fit.options.gradient_accumulation_steps,
            max_grad_norm=1.0,
            bf16=fit.options.bfloat16,
            use_cpu=not torch.cuda.is_available(),
            ddp_find_unused_parameters=False,
            seed=fit.options.seed,
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        shards.check_launch(arguments.distributed_state)
        super().__init__(model=fit.encoder.model, train_dataset=batches, args=arguments)
        self.loss_is_scaled_for_ga = False
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches unchanged; every process iterates over all of them and encodes its share of the items."""
        return DataLoader(self.train_dataset, batch_size=1, collate_fn=lambda batches: {"groups": batches[0]})

    def create_optimizer(self, model: Any = None) -> Optimizer:
        trainable = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = AdamW(body_and_head(self.model, trainable, self.fit.options))
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        self.lr_scheduler = warmup_schedule(self.optimizer, self.total, done=self.fit.state.step)
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        return self.fit.training_loss(inputs["groups"]).to(self.args.device)

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # Trainer would otherwise look for tokens in the inputs
