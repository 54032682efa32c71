"""The training loop of a preference model: batches of items read once, one likelihood, the best state kept."""

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

from training.engine.data.observations import Group, Item, deal, items_of
from training.engine.models.encoder import Reader
from training.engine.preference.likelihood import Likelihood
from training.engine.runtime import checkpoints, distributed, stopping
from training.engine.runtime.progress import Reporter, advance
from training.engine.runtime.schedules import warmup_cosine

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class FitOptions:
    """tokens_per_step: about how much text a gradient comes from; accumulate: batches whose gradients are added up for
    one step. patience: looks at the validation split without a better loss before the end, 0 for never. average: decay
    of the running mean of the weights that is looked at and kept, 0 for the last weights themselves."""

    epochs: int
    min_steps: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    tokens_per_step: int
    accumulate: int
    patience: int
    average: float
    bfloat16: bool
    seed: int


@dataclass
class State:
    """Where the loop stands; with the tensors of a checkpoint all that a resumed run needs to go on exactly."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = math.inf
    best_step: int = 0
    looks_since: int = 0
    stopped: dict[str, Any] = field(default_factory=dict)  # training.engine.runtime.stopping


@dataclass
class Weights:
    """Trainable parameters by name: of the model and of the likelihood."""

    model: dict[str, Tensor] = field(default_factory=dict)
    likelihood: dict[str, Tensor] = field(default_factory=dict)


class Fit:
    """Trains `reader.model` on what `likelihood` says of its outputs; `heads` of them are on one backbone."""

    def __init__(
        self,
        reader: Reader,
        likelihood: Likelihood,
        options: FitOptions,
        reporter: Reporter,
        checkpoint: Path | None = None,
    ) -> None:
        self.reader, self.likelihood, self.options = reader, likelihood, options
        self.reporter, self.checkpoint = reporter, distributed.from_first(checkpoint)
        self.trainable = {n: p for n, p in reader.model.named_parameters() if p.requires_grad}
        self.optimizer = self._optimizer()
        self.state, self.best = State(), Weights()
        self.average: dict[str, Tensor] = {}
        self._kept_at = time.monotonic()

    def run(self, train: Sequence[Group], validation: Sequence[Group]) -> State:
        """Train, leave the best weights in the model, return how it went."""
        self.reader.prepare(items_of([*train, *validation]))
        epochs, total = self._planned(train)
        schedule = scheduled(self.optimizer, total)
        self._resume(schedule)
        distributed.agree(self.reader.model)
        while self.state.epoch < epochs and not self.state.stopped:
            self._epoch(train, schedule, total)
            if self.state.stopped:
                self._keep(schedule)
                break
            self.state.epoch, self.state.batch = self.state.epoch + 1, 0
            if looks_after(self.state.epoch, epochs):
                self._look(validation, epochs)
                self._keep(schedule)
        self._restore_best()
        self.reader.model.eval()
        return self.state

    def _restore_best(self) -> None:
        """Raises ValueError where no evaluation gave weights to keep."""
        if math.isinf(self.state.best):
            raise ValueError("the validation loss is not finite at any evaluation; try a smaller learning rate")
        self._restore(self.best)

    def _planned(self, train: Sequence[Group]) -> tuple[int, int]:
        """Epochs, and about how many steps they take."""
        steps_an_epoch = math.ceil(len(self._dealt(train, 0)) / self.options.accumulate)
        epochs = max(self.options.epochs, math.ceil(self.options.min_steps / steps_an_epoch))
        return epochs, epochs * steps_an_epoch

    def _optimizer(self) -> torch.optim.Optimizer:
        model_groups = body_and_head(self.reader.model, self.trainable, self.options)
        return torch.optim.AdamW([*model_groups, of_likelihood(self.likelihood)])

    def _dealt(self, groups: Sequence[Group], epoch: int) -> list[list[Group]]:
        rng = random.Random(f"{self.options.seed} {epoch}")
        return list(deal(groups, self.reader.length, self.options.tokens_per_step, rng))

    def _epoch(self, train: Sequence[Group], schedule: LambdaLR, total: int) -> None:
        batches = self._dealt(train, self.state.epoch)
        self.reader.model.train()
        while self.state.batch < len(batches):
            part = batches[self.state.batch : self.state.batch + self.options.accumulate]
            loss = self._step(part)
            if not math.isfinite(loss):
                self._stop_at(part)
                return
            schedule.step()
            self.state.batch += len(part)
            self.state.step += 1
            if self.state.step % 5 == 0:
                self.reporter.metric(self.state.step, loss=loss)
            if time.monotonic() - self._kept_at > CHECKPOINT_SECONDS:
                self._keep(schedule)
            advance(self.reporter, min(self.state.step, total), total)

    def _step(self, batches: Sequence[Sequence[Group]]) -> float:
        """One step of the optimiser; returns the loss, and takes no step where it or its gradient is not finite."""
        torch.manual_seed(self.options.seed * 1_000_003 + self.state.step)
        losses = 0.0
        for groups in batches:
            items = items_of(groups)
            outputs = self._outputs(items, self.options.bfloat16)
            loss = self.likelihood(outputs, self.likelihood.prepare(groups, items)) / len(batches)
            loss.backward()
            losses += loss.item()
        distributed.add_gradients(self.trainable.values())
        norm = torch.nn.utils.clip_grad_norm_(self.trainable.values(), 1.0)
        of_raters = [p.grad for p in self.likelihood.parameters() if p.grad is not None]
        finite = bool(torch.isfinite(norm)) and all(bool(torch.isfinite(grad).all()) for grad in of_raters)
        if math.isfinite(losses) and finite:
            self.optimizer.step()
            self._follow()
        self.optimizer.zero_grad(set_to_none=True)
        return losses if finite else math.nan

    def _outputs(self, items: Sequence[Item], bfloat16: bool) -> Tensor:
        """Outputs (N, M, H): each worker reads its share of the items."""
        mine = distributed.share(items)
        outputs = distributed.gathered(self.reader.outputs(mine, bfloat16=bfloat16), len(items))
        return outputs.view(len(items), self.likelihood.settings.heads, -1)

    def _follow(self) -> None:
        """Move the running mean of the weights; it forgets faster while there is little to remember."""
        if not self.options.average:
            return
        decay = min(self.options.average, (1 + self.state.step) / (10 + self.state.step))
        for name, parameter in self.trainable.items():
            if name in self.average:
                self.average[name].lerp_(parameter.detach(), 1 - decay)
            else:
                self.average[name] = parameter.detach().clone()

    def _look(self, validation: Sequence[Group], epochs: int) -> None:
        """Measure the validation split, keep the weights if they are the best so far, and tell whether to go on."""
        last = self._weights()
        if self.average:
            self._restore(Weights(self.average, last.likelihood))
        loss = self.validation_loss(validation)
        if math.isfinite(loss) and loss < self.state.best:
            self.state.best, self.state.best_step, self.state.looks_since = loss, self.state.step, 0
            self.best = self._weights()
        else:
            self.state.looks_since += 1
        self._restore(last)
        self.reporter.metric(self.state.step, validation_loss=loss)
        self.reporter.log(f"epoch {self.state.epoch} of {epochs}: validation loss {loss:.4f}")
        if self.options.patience and self.state.looks_since >= self.options.patience:
            self.state.stopped = stopping.because("patience", looks=self.options.patience)

    @torch.no_grad()
    def validation_loss(self, groups: Sequence[Group]) -> float:
        """Mean negative log-likelihood an observation, without penalties."""
        self.reader.model.eval()
        items = items_of(groups)
        parts = [
            self._outputs(items[start : start + 256], self.options.bfloat16) for start in range(0, len(items), 256)
        ]
        return float(self.likelihood.observed(torch.cat(parts), self.likelihood.prepare(groups, items, whole=True)))

    def _stop_at(self, batches: Sequence[Sequence[Group]]) -> None:
        prompts = ", ".join(repr(group.items[0][0][:60]) for groups in batches for group in groups[:2])
        if not self.best.model:
            where = f"step {self.state.step}, epoch {self.state.epoch + 1}, batch {self.state.batch + 1} ({prompts})"
            raise ValueError(f"the loss is not a number at {where}; try a smaller learning rate")
        self.state.stopped = stopping.because("not_a_number", step=self.state.step, prompts=prompts)
        self.reporter.log(stopping.told(self.state.stopped))

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

    def _keep(self, schedule: LambdaLR) -> None:
        self._kept_at = time.monotonic()
        if self.checkpoint is None or not distributed.first():
            return
        last = self._weights()
        kept = {
            "state": vars(self.state),
            "told": self.reporter.told(),
            "last": vars(last),
            "best": vars(self.best),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "schedule": schedule.state_dict()["last_epoch"],
        }
        checkpoints.write(self.checkpoint, kept)

    def _resume(self, schedule: LambdaLR) -> None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        kept = checkpoints.read(self.checkpoint)
        self.state, self.best = State(**kept["state"]), Weights(**kept["best"])
        self._restore(Weights(**kept["last"]))
        self.average = kept["average"]
        self.optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict({**schedule.state_dict(), "last_epoch": kept["schedule"]})
        self.reporter.going_on(kept["told"])
        self.reporter.log(f"going on from step {self.state.step}")


def scheduled(optimizer: torch.optim.Optimizer, total: int, done: int = 0) -> LambdaLR:
    """Warm-up over a tenth of `total` steps, then half a cosine; `done` steps are behind already."""
    return LambdaLR(optimizer, lambda step: warmup_cosine(done + step, total, warmup_share=0.1))


def looks_after(epoch: int, epochs: int) -> bool:
    """Whether the validation split is looked at after so many epochs: with few steps an epoch, a look after each would
    cost more than the training."""
    return epoch % max(1, epochs // 12) == 0 or epoch == epochs


def body_and_head(model: Any, trainable: Mapping[str, Tensor], options: FitOptions) -> list[dict[str, Any]]:
    """Parameter groups of an optimiser: the fresh head learns faster than what was pretrained."""
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


def of_likelihood(likelihood: Likelihood) -> dict[str, Any]:
    """The parameter group of what explains the raters, which learns fastest."""
    return {"params": list(likelihood.parameters()), "lr": 2e-2, "weight_decay": 0.0}
