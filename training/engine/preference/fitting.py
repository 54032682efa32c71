"""The training loop of a preference model, which keeps the weights with the best validation loss."""

import copy
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from training.engine.data.observations import Group, Item, items_of, make_batches
from training.engine.models.encoder import Encoder
from training.engine.preference.likelihood import Likelihood
from training.engine.runtime import checkpoints, distributed, stopping
from training.engine.runtime.progress import Reporter, advance
from training.engine.runtime.schedules import warmup_cosine

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class FitOptions:
    """tokens_per_step: approximate number of tokens per batch. gradient_accumulation_steps: batches per optimizer step.
    early_stopping_patience: evaluations without a better validation loss before the run stops, 0 for never. ema_decay:
    decay of the average of the weights, which is evaluated and saved, 0 for the last weights themselves."""

    num_epochs: int
    min_steps: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    tokens_per_step: int
    gradient_accumulation_steps: int
    early_stopping_patience: int
    ema_decay: float
    bfloat16: bool
    seed: int


@dataclass
class State:
    """The progress of the loop; together with a checkpoint's tensors it is sufficient to resume the run exactly."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = math.inf
    best_step: int = 0
    evals_since_best: int = 0
    stopped: dict[str, Any] = field(default_factory=dict)  # training.engine.runtime.stopping


@dataclass
class Weights:
    """The trainable parameters of the model and of the likelihood, by name."""

    model: dict[str, Tensor] = field(default_factory=dict)
    likelihood: dict[str, Tensor] = field(default_factory=dict)


class Fit:
    """Trains `reader.model` on what `likelihood` says of its outputs; `heads` of them are on one backbone."""

    def __init__(
        self,
        encoder: Encoder,
        likelihood: Likelihood,
        options: FitOptions,
        reporter: Reporter,
        checkpoint: Path | None = None,
    ) -> None:
        self.encoder, self.likelihood, self.options = encoder, likelihood, options
        self.reporter, self.checkpoint = reporter, distributed.broadcast(checkpoint)
        self.trainable = {n: p for n, p in encoder.model.named_parameters() if p.requires_grad}
        self.optimizer = self._optimizer()
        self.state, self.best = State(), Weights()
        self.ema: dict[str, Tensor] = {}
        self._saved_at = time.monotonic()

    def run(self, train: Sequence[Group], validation: Sequence[Group]) -> State:
        """Train, load the best weights into the model, and return the state."""
        self.encoder.prepare(items_of([*train, *validation]))
        epochs, total = self._schedule_length(train)
        schedule = warmup_schedule(self.optimizer, total)
        self._resume(schedule)
        distributed.broadcast_weights(self.encoder.model)
        while self.state.epoch < epochs and not self.state.stopped:
            self._epoch(train, schedule, total)
            if self.state.stopped:
                self._save_checkpoint(schedule)
                break
            self.state.epoch, self.state.batch = self.state.epoch + 1, 0
            if should_evaluate(self.state.epoch, epochs):
                self._evaluate(validation, epochs)
                self._save_checkpoint(schedule)
        self._restore_best()
        self.encoder.model.eval()
        return self.state

    def _restore_best(self) -> None:
        """Load the best weights. Raises ValueError where no evaluation had a finite loss."""
        if math.isinf(self.state.best):
            raise ValueError("the validation loss is not finite at any evaluation; try a smaller learning rate")
        self._restore(self.best)

    def _schedule_length(self, train: Sequence[Group]) -> tuple[int, int]:
        """Return the number of epochs, and the approximate number of steps."""
        steps_an_epoch = math.ceil(len(self._batches(train, 0)) / self.options.gradient_accumulation_steps)
        epochs = max(self.options.num_epochs, math.ceil(self.options.min_steps / steps_an_epoch))
        return epochs, epochs * steps_an_epoch

    def _optimizer(self) -> torch.optim.Optimizer:
        model_groups = body_and_head(self.encoder.model, self.trainable, self.options)
        return torch.optim.AdamW([*model_groups, likelihood_group(self.likelihood)])

    def _batches(self, groups: Sequence[Group], epoch: int) -> list[list[Group]]:
        rng = random.Random(f"{self.options.seed} {epoch}")
        return list(make_batches(groups, self.encoder.length, self.options.tokens_per_step, rng))

    def _epoch(self, train: Sequence[Group], schedule: LambdaLR, total: int) -> None:
        batches = self._batches(train, self.state.epoch)
        self.encoder.model.train()
        while self.state.batch < len(batches):
            part = batches[self.state.batch : self.state.batch + self.options.gradient_accumulation_steps]
            loss = self._step(part)
            if not math.isfinite(loss):
                self._stop_on_non_finite(part)
                return
            schedule.step()
            self.state.batch += len(part)
            self.state.step += 1
            if self.state.step % 5 == 0:
                self.reporter.metric(self.state.step, loss=loss)
            if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                self._save_checkpoint(schedule)
            advance(self.reporter, min(self.state.step, total), total)

    def _step(self, batches: Sequence[Sequence[Group]]) -> float:
        """Take one optimizer step, unless the loss or its gradient is not finite; return the loss."""
        torch.manual_seed(self.options.seed * 1_000_003 + self.state.step)
        losses = 0.0
        for groups in batches:
            items = items_of(groups)
            outputs = self._outputs(items, self.options.bfloat16)
            loss = self.likelihood(outputs, self.likelihood.prepare(groups, items)) / len(batches)
            loss.backward()
            losses += loss.item()
        distributed.reduce_gradients(self.trainable.values())
        norm = torch.nn.utils.clip_grad_norm_(self.trainable.values(), 1.0)
        of_raters = [p.grad for p in self.likelihood.parameters() if p.grad is not None]
        finite = bool(torch.isfinite(norm)) and all(bool(torch.isfinite(grad).all()) for grad in of_raters)
        if math.isfinite(losses) and finite:
            self.optimizer.step()
            self.update_ema()
        self.optimizer.zero_grad(set_to_none=True)
        return losses if finite else math.nan

    def _outputs(self, items: Sequence[Item], bfloat16: bool) -> Tensor:
        """Return outputs (N, M, H); each process encodes its share of the items."""
        mine = distributed.local_share(items)
        outputs = distributed.gather_outputs(self.encoder.outputs(mine, bfloat16=bfloat16), len(items))
        return outputs.view(len(items), self.likelihood.settings.heads, -1)

    def update_ema(self) -> None:
        """Update the exponential moving average of the weights; its decay is smaller in the first steps."""
        if not self.options.ema_decay:
            return
        decay = min(self.options.ema_decay, (1 + self.state.step) / (10 + self.state.step))
        for name, parameter in self.trainable.items():
            if name in self.ema:
                self.ema[name].lerp_(parameter.detach(), 1 - decay)
            else:
                self.ema[name] = parameter.detach().clone()

    def _evaluate(self, validation: Sequence[Group], epochs: int) -> None:
        """Evaluate on the validation split, copy the weights if they are the best so far, and stop early if due."""
        last = self._weights()
        if self.ema:
            self._restore(Weights(self.ema, last.likelihood))
        loss = self.validation_loss(validation)
        if math.isfinite(loss) and loss < self.state.best:
            self.state.best, self.state.best_step, self.state.evals_since_best = loss, self.state.step, 0
            self.best = self._weights()
        else:
            self.state.evals_since_best += 1
        self._restore(last)
        self.reporter.metric(self.state.step, validation_loss=loss)
        self.reporter.log(f"epoch {self.state.epoch} of {epochs}: validation loss {loss:.4f}")
        if self.options.early_stopping_patience and self.state.evals_since_best >= self.options.early_stopping_patience:
            self.state.stopped = stopping.make_reason(
                "early_stopping", evaluations=self.options.early_stopping_patience
            )

    @torch.no_grad()
    def validation_loss(self, groups: Sequence[Group]) -> float:
        """Return the mean negative log-likelihood per observation, without penalties."""
        self.encoder.model.eval()
        items = items_of(groups)
        parts = [
            self._outputs(items[start : start + 256], self.options.bfloat16) for start in range(0, len(items), 256)
        ]
        return float(self.likelihood.observed(torch.cat(parts), self.likelihood.prepare(groups, items, whole=True)))

    def _stop_on_non_finite(self, batches: Sequence[Sequence[Group]]) -> None:
        prompts = ", ".join(repr(group.items[0][0][:60]) for groups in batches for group in groups[:2])
        if not self.best.model:
            where = f"step {self.state.step}, epoch {self.state.epoch + 1}, batch {self.state.batch + 1} ({prompts})"
            raise ValueError(f"the loss is not a number at {where}; try a smaller learning rate")
        self.state.stopped = stopping.make_reason("non_finite_loss", step=self.state.step, prompts=prompts)
        self.reporter.log(stopping.format_reason(self.state.stopped))

    def _weights(self) -> Weights:
        return Weights(
            {name: parameter.detach().clone() for name, parameter in self.trainable.items()},
            copy.deepcopy(self.likelihood.state_dict()),
        )

    def _restore(self, weights: Weights) -> None:
        with torch.no_grad():
            for name, value in weights.model.items():
                self.trainable[name].copy_(value)
        if weights.likelihood:
            self.likelihood.load_state_dict(weights.likelihood)

    def _save_checkpoint(self, schedule: LambdaLR) -> None:
        self._saved_at = time.monotonic()
        if self.checkpoint is None or not distributed.is_main():
            return
        last = self._weights()
        checkpoint = {
            "state": vars(self.state),
            "position": self.reporter.position(),
            "last": vars(last),
            "best": vars(self.best),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "schedule": schedule.state_dict()["last_epoch"],
        }
        checkpoints.write(self.checkpoint, checkpoint)

    def _resume(self, schedule: LambdaLR) -> None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        checkpoint = checkpoints.read(self.checkpoint)
        self.state, self.best = State(**checkpoint["state"]), Weights(**checkpoint["best"])
        self._restore(Weights(**checkpoint["last"]))
        self.ema = checkpoint["ema"]
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        schedule.load_state_dict({**schedule.state_dict(), "last_epoch": checkpoint["schedule"]})
        self.reporter.resume_at(checkpoint["position"])
        self.reporter.log(f"resumed from step {self.state.step}")


def warmup_schedule(optimizer: torch.optim.Optimizer, total: int, done: int = 0) -> LambdaLR:
    """Return a schedule with warm-up over a tenth of `total` steps, then half a cosine, starting at step `done`."""
    return LambdaLR(optimizer, lambda step: warmup_cosine(done + step, total, warmup_share=0.1))


def should_evaluate(epoch: int, epochs: int) -> bool:
    """Whether the validation split is looked at after so many epochs: with few steps an epoch, a look after each would
    cost more than the training."""
    return epoch % max(1, epochs // 12) == 0 or epoch == epochs


def body_and_head(model: Any, trainable: Mapping[str, Tensor], options: FitOptions) -> list[dict[str, Any]]:
    """Return an optimizer's parameter groups: the new head has a higher learning rate than the pretrained body."""
    prefix = model.base_model_prefix and f"{model.base_model_prefix}."
    body: list[Tensor] = []
    head: list[Tensor] = []
    for name, parameter in trainable.items():
        pretrained = prefix and name.removeprefix("base_model.model.").startswith(prefix)
        (body if pretrained else head).append(parameter)
    return [
        {"params": body, "lr": options.learning_rate, "weight_decay": options.weight_decay},
        {"params": head, "lr": options.head_learning_rate, "weight_decay": options.weight_decay},
    ]


def likelihood_group(likelihood: Likelihood) -> dict[str, Any]:
    """Return the parameter group of the raters' parameters, which has the highest learning rate."""
    return {"params": list(likelihood.parameters()), "lr": 2e-2, "weight_decay": 0.0}
