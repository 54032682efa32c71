"""A tuning run from its start to the saved policy: what all algorithms share."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from core.records import Record
from training.engine.data.formatting import truncation
from training.engine.data.observations import Item
from training.engine.models.reward import PreferenceModel
from training.engine.rl import control
from training.engine.rl.actor import Actor
from training.engine.rl.config import CREDITS, PolicyConfig
from training.engine.rl.direct import Direct
from training.engine.rl.evaluator import LOOKED_AT, Eye, check_reference, standard_error
from training.engine.rl.onpolicy import OnPolicy
from training.engine.rl.rewards import RewardConfig, RewardSum
from training.engine.rl.state import Look, State, keep, resume
from training.engine.rl.token_changes import changes
from training.engine.rl.trl_trainers import TrlSteps
from training.engine.runtime import distributed, stopping
from training.engine.runtime.numerics import NonFiniteError, check_finite
from training.engine.runtime.progress import Reporter, SilentReporter, advance


class Family(Protocol):
    def step(self, state: State) -> dict[str, float]: ...


@dataclass(frozen=True)
class Material:
    """What a policy is tuned on. references: prompt to its known good answer. The records are judgements, for dpo and
    kto only. real: what a discriminator takes for real, (prompt, response)."""

    prompts: Sequence[str]
    held_out_prompts: Sequence[str]
    references: Mapping[str, str]
    train: Sequence[Record] = ()
    validation: Sequence[Record] = ()
    real: Sequence[Item] = ()


def rl_finetune(
    *,
    policy: str,
    reward: RewardConfig,
    material: Material,
    output: Path,
    config: PolicyConfig,
    guard: str = "",
    reporter: Reporter | None = None,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Tune the policy at `policy` and save it to `output`.

    guard: a held-out preference model that watches for over-optimisation. A checkpoint file, if it exists, is where the
    run goes on. Under `accelerate launch` every process calls this alike, and the first one alone saves. Returns
    figures of the held-out prompts "before" and "after", every look between ("frontier"), best-of-n of the start
    ("best_of"), "kept_step", and how the run ended: "stopped" in words, "stop" in figures, both empty when it took all
    steps.
    """
    if not material.prompts or not material.held_out_prompts:
        raise ValueError("rl_finetune needs prompts to train on and held-out prompts to measure on")
    distributed.join()
    if config.prompts_per_step % distributed.processes():
        raise ValueError(
            f"{config.prompts_per_step} prompts per step cannot be divided among {distributed.processes()} processes"
        )
    checkpoint = distributed.from_first(checkpoint)
    torch.manual_seed(config.seed)
    with closing(Actor.load(policy, config)) as actor:
        rewards = RewardSum.load(reward, material.real, config.seed)
        if rewards.adversary and (distributed.processes() > 1 or config.algorithm not in CREDITS):
            raise ValueError(f"a discriminator learns in one process, with {', '.join(CREDITS)}")
        if config.on_policy and not rewards.terms:
            raise ValueError(f"{config.algorithm} needs a reward: a preference model, a term or a function")
        if config.until_quality and rewards.calibration is None:
            raise ValueError("until_quality is told by a preference model's calibration, so exactly one must be given")
        eye = Eye(
            actor,
            rewards,
            PreferenceModel.load(guard) if guard else None,
            material.held_out_prompts[:LOOKED_AT],
            material.references,
            config.seed,
        )
        return _Run(actor, rewards, eye, config, reporter or SilentReporter(), checkpoint).perform(material, output)


# The class that makes the steps of each on-policy algorithm; training.engine.experimental adds its own.
ON_POLICY_FAMILIES: dict[str, Callable[..., Family]] = dict.fromkeys(CREDITS, OnPolicy)


class _Run:
    def __init__(
        self,
        actor: Actor,
        rewards: RewardSum,
        eye: Eye,
        config: PolicyConfig,
        reporter: Reporter,
        checkpoint: Path | None,
    ) -> None:
        self.actor, self.rewards, self.eye = actor, rewards, eye
        self.config, self.reporter, self.checkpoint = config, reporter, checkpoint
        self.state = State(beta=config.beta)
        self.best: dict[str, Tensor] | None = None
        self.chooses = bool(
            eye.guard or config.kl_budget or config.distinct_floor
        )  # else the newest policy that was measured is the result

    def perform(self, material: Material, output: Path) -> dict[str, Any]:
        told = check_reference(self.actor, material.prompts[0])
        family = self._family(material)
        self.truncation = self._truncation(family, material)
        if self.checkpoint and self.checkpoint.exists():
            self.state, self.best, before = resume(self.checkpoint, self.actor, self.rewards.adversary)
            self.reporter.going_on(before)
            self.rewards.same = self.state.same
            self.reporter.log(f"going on from step {self.state.step}")
        else:
            self.reporter.log(f"{self.config.algorithm} by {self.config.engine}: {told}")
            for line in self.truncation:
                self.reporter.log(line)
            self._start(family)
        try:
            self._train(family)
        except NonFiniteError as error:
            self._diverged(error)
        return self._end(output)

    def _train(self, family: Family | TrlSteps) -> None:
        state = self.state
        if isinstance(family, TrlSteps):
            family.run(state, lambda figures: self._done(family, figures))
        else:
            while state.step < self.config.steps and not state.stopped:
                self._done(family, family.step(state))

    def _diverged(self, error: NonFiniteError) -> None:
        """End the run with the last good checkpoint. Raises ValueError where that is the start itself."""
        state = self.state
        if not state.best_step:
            raise ValueError(
                f"training diverged after step {state.step}: {error}; try a smaller learning rate"
            ) from error
        state.stopped = stopping.because("non_finite", step=state.step, seen=str(error), kept=state.best_step)

    def _done(self, family: Family | TrlSteps, figures: dict[str, float]) -> None:
        """What follows a step: its figures, a look, a checkpoint. Raises Cancelled when the user asked to stop."""
        state = self.state
        for name, value in figures.items():
            check_finite(name, [value])
        state.step += 1
        self._tell(figures)
        if state.step % self.config.look_every == 0 or self._far(figures) or state.step == self.config.steps:
            self._look(family)
        if self.checkpoint and state.step % self.config.checkpoint_every == 0 and distributed.first():
            state.same = self.rewards.same
            keep(self.checkpoint, self.actor, state, self.best, self.rewards.adversary, self.reporter.told())
        advance(self.reporter, state.step, self.config.steps)

    def _family(self, material: Material) -> Family | TrlSteps:
        if self.config.engine == "trl":
            return TrlSteps(self.actor, self.rewards, self.config, material.prompts, material.references)
        if self.config.on_policy:
            if self.config.algorithm not in ON_POLICY_FAMILIES:
                raise ValueError(f"algorithm {self.config.algorithm} needs `import training.engine.experimental`")
            return ON_POLICY_FAMILIES[self.config.algorithm](
                self.actor, self.rewards, self.config, material.prompts, material.references
            )
        return Direct(self.actor, self.config, material.train, material.validation)

    def _truncation(self, family: Family | TrlSteps, material: Material) -> list[str]:
        """What of the run's texts is too long, in words: prompts to sample from, and judged examples."""
        policy = self.actor.policy
        policy.truncated.clear()  # judged prompts have another limit
        sampled = {*self.eye.prompts, *(material.prompts if self.config.on_policy else ())}
        for prompt in sampled:
            self.actor.prompt_ids(prompt)
        lines = [truncation(len(policy.truncated), len(sampled), policy.room(self.config.max_new_tokens), "prompts")]
        if isinstance(family, Direct):
            lines.append(family.truncation)
        return [line for line in lines if line]

    def _start(self, family: Family | TrlSteps) -> None:
        if isinstance(family, OnPolicy):
            family.prepare()
        look = self._look(family)
        self.reporter.log(
            f"selection on {len(self.eye.halves[0])} held-out prompts, report on {len(self.eye.halves[1])} others"
        )
        if look.rewards:
            spread = standard_error(look.rewards) * len(look.rewards) ** 0.5
            self.state.start = (look.figures["reward"], spread or 1.0)
            if self.config.best_of > 1 and self.config.temperature:
                self.state.best_of = self.eye.best_of(self.config.best_of)
                top = self.state.best_of[-1]
                self.reporter.log(
                    f"best of {top['n']:.0f} of the start: reward {top['reward']:.3f}, KL {top['kl']:.2f}"
                )

    def _look(self, family: Family | TrlSteps) -> Look:
        """Measure on the held-out prompts; keep the weights when they are the best so far; stop when it is time."""
        state = self.state
        look = self.eye.look(state.step)
        if isinstance(family, Direct):
            look.figures.update(family.figures())
        for name, value in (*look.figures.items(), *look.selection.items()):
            check_finite(f"the held-out {name}", [value])
        state.looks.append(look)
        self.reporter.metric(state.step, **{f"held_out_{name}": value for name, value in look.figures.items()})
        self.reporter.log(f"step {state.step}: {_told(look.figures)}")
        best = control.best(state.looks, self.config.kl_budget, self.config.distinct_floor) if self.chooses else look
        if best is look:
            self.best, state.best_step = self.actor.weights(), state.step
        if control.over_budget(state.looks, self.config.kl_budget):
            seen = control.widest_kl(look)
            state.stopped = stopping.because("kl_budget", seen=seen, limit=self.config.kl_budget)
        elif control.collapsed(state.looks, self.config.distinct_floor):
            seen = control.least_variety(state.looks) * state.looks[0].figures["distinct_2"]
            state.stopped = stopping.because("distinct_floor", seen=seen, limit=self.config.distinct_floor)
        elif control.over_optimized(state.looks):
            state.stopped = stopping.because("over_optimisation")
        elif self.config.until_quality and look.selection.get("quality", 0.0) >= self.config.until_quality:
            seen = look.selection["quality"]
            state.stopped = stopping.because("until_quality", seen=seen, limit=self.config.until_quality)
        return look

    def _far(self, figures: Mapping[str, float]) -> bool:
        """Whether a batch is far enough from the last look to look at once: by a quarter of the KL budget, or above it.
        A policy that moves fast would else be beyond the budget before the first look, with nothing to keep."""
        budget, seen = self.config.kl_budget, self.state.looks[-1].kl
        return bool(budget) and figures.get("kl", 0.0) > min(budget, seen + budget / 4)

    def _tell(self, figures: Mapping[str, float]) -> None:
        self.reporter.metric(self.state.step, **figures)
        if self.state.sample:
            prompt, text, reward = self.state.sample
            self.reporter.sample(self.state.step, prompt, text, reward)

    def _end(self, output: Path) -> dict[str, Any]:
        state = self.state
        kept = next(look for look in state.looks if look.step == state.best_step)
        if self.best is not None and (kept.step != state.step or state.stopped.get("reason") == "non_finite"):
            self.actor.set_weights(self.best)
        if state.stopped:
            self.reporter.log(f"stopped at step {state.step}: {stopping.told(state.stopped)}")
        if kept.step != state.step:
            self.reporter.log(f"the policy of step {kept.step} is kept")
        self._compare(state.looks[0], kept)
        if distributed.first():
            self.actor.save(output)
        return {
            "algorithm": self.config.algorithm,
            "engine": self.config.engine,
            "before": state.looks[0].figures,
            "after": kept.figures,
            "steps": state.step,
            "kept_step": kept.step,
            "stopped": stopping.told(state.stopped),
            "stop": state.stopped,
            "beta": state.beta,
            "held_out_prompts": len(self.eye.reported),
            "truncation": self.truncation,
            "start": {"reward": state.start[0], "spread": state.start[1]},
            "frontier": [{"step": look.step, **look.figures} for look in state.looks],
            "best_of": state.best_of,
        }

    def _compare(self, before: Look, after: Look) -> None:
        """The samples of the held-out prompts that are reported, side by side."""
        texts = list(zip(before.texts, after.texts, strict=True))
        # What a token's chance is without its latent says nothing.
        latent = self.actor.policy.latent
        moved = [[[], []] for _ in texts] if latent else changes(self.actor, self.eye.reported, texts)
        for n, prompt in enumerate(self.eye.reported):
            rewards = (before.rewards[n], after.rewards[n]) if after.rewards else None
            self.reporter.comparison(after.step, prompt, texts[n], rewards, (moved[n][0], moved[n][1]))


def _told(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
