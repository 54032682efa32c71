"""A tuning run from the initial to the saved policy, common to all algorithms."""

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
from training.engine.rl.config import POLICY_GRADIENT, PolicyConfig
from training.engine.rl.direct import Direct
from training.engine.rl.evaluator import MAX_EVAL_PROMPTS, Evaluator, check_reference, standard_error
from training.engine.rl.onpolicy import OnPolicy
from training.engine.rl.rewards import RewardConfig, RewardSum
from training.engine.rl.state import EvalResult, State, load_checkpoint, save_checkpoint
from training.engine.rl.token_changes import changes
from training.engine.rl.trl_trainers import TrlSteps
from training.engine.runtime import distributed, stopping
from training.engine.runtime.numerics import NonFiniteError, check_finite
from training.engine.runtime.progress import Reporter, SilentReporter, advance


class Algorithm(Protocol):
    def step(self, state: State) -> dict[str, float]: ...


@dataclass(frozen=True)
class TuningData:
    """The data that a policy is tuned on.

    references: reference answers by prompt. train, validation: judgements, for dpo and kto only. real: the (prompt,
    response) items that a discriminator learns as real.
    """

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
    data: TuningData,
    output: Path,
    config: PolicyConfig,
    guard: str = "",
    reporter: Reporter | None = None,
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Tune the policy at `policy` and save it to `output`.

    guard: a held-out preference model that detects over-optimization. An existing checkpoint file is resumed. Under
    `accelerate launch` every process makes the same call, and only the main process saves.

    Returns figures on the held-out prompts "before" and "after", every evaluation ("frontier"), best-of-n of the
    initial policy ("best_of"), "best_step", and how the run ended: "stopped" as a sentence and "stop_reason" as
    figures, both empty when it completed all steps.
    """
    if not data.prompts or not data.held_out_prompts:
        raise ValueError("rl_finetune needs prompts to train on and held-out prompts to measure on")
    distributed.join()
    if config.prompts_per_step % distributed.world_size():
        raise ValueError(
            f"{config.prompts_per_step} prompts per step cannot be divided among {distributed.world_size()} processes"
        )
    checkpoint = distributed.broadcast(checkpoint)
    torch.manual_seed(config.seed)
    with closing(Actor.load(policy, config)) as actor:
        rewards = RewardSum.load(reward, data.real, config.seed)
        if rewards.adversary and (distributed.world_size() > 1 or config.algorithm not in POLICY_GRADIENT):
            raise ValueError(f"a discriminator learns in one process, with {', '.join(POLICY_GRADIENT)}")
        if config.on_policy and not rewards.terms:
            raise ValueError(f"{config.algorithm} needs a reward: a preference model, a term or a function")
        if config.target_quality and rewards.calibration is None:
            raise ValueError("target_quality needs the calibration of exactly one preference model")
        evaluator = Evaluator(
            actor,
            rewards,
            PreferenceModel.load(guard) if guard else None,
            data.held_out_prompts[:MAX_EVAL_PROMPTS],
            data.references,
            config.seed,
        )
        return _Run(actor, rewards, evaluator, config, reporter or SilentReporter(), checkpoint).run(data, output)


# The class of each on-policy algorithm; training.engine.experimental registers its own.
ON_POLICY_ALGORITHMS: dict[str, Callable[..., Algorithm]] = dict.fromkeys(POLICY_GRADIENT, OnPolicy)


class _Run:
    def __init__(
        self,
        actor: Actor,
        rewards: RewardSum,
        evaluator: Evaluator,
        config: PolicyConfig,
        reporter: Reporter,
        checkpoint: Path | None,
    ) -> None:
        self.actor, self.rewards, self.evaluator = actor, rewards, evaluator
        self.config, self.reporter, self.checkpoint = config, reporter, checkpoint
        self.state = State(beta=config.beta)
        self.best: dict[str, Tensor] | None = None
        # Without a guard or a limit the last evaluated policy is the result.
        self.selects_best = bool(evaluator.guard or config.max_kl or config.distinct_floor)

    def run(self, data: TuningData, output: Path) -> dict[str, Any]:
        optimizations = check_reference(self.actor, data.prompts[0])
        algorithm = self._algorithm(data)
        self.truncation = self._truncation(algorithm, data)
        if self.checkpoint and self.checkpoint.exists():
            self.state, self.best, position = load_checkpoint(self.checkpoint, self.actor, self.rewards.adversary)
            self.reporter.resume_at(position)
            self.rewards.constant_steps = self.state.constant_steps
            self.reporter.log(f"resumed from step {self.state.step}")
        else:
            self.reporter.log(f"{self.config.algorithm} by {self.config.engine}: {optimizations}")
            for line in self.truncation:
                self.reporter.log(line)
            self._start(algorithm)
        try:
            self._train(algorithm)
        except NonFiniteError as error:
            self._stop_diverged(error)
        return self._finish(output)

    def _train(self, algorithm: Algorithm | TrlSteps) -> None:
        state = self.state
        if isinstance(algorithm, TrlSteps):
            algorithm.run(state, lambda figures: self._finish_step(algorithm, figures))
        else:
            while state.step < self.config.max_steps and not state.stopped:
                self._finish_step(algorithm, algorithm.step(state))

    def _stop_diverged(self, error: NonFiniteError) -> None:
        """End the run with the best weights so far. Raises ValueError where those are the initial weights."""
        state = self.state
        if not state.best_step:
            raise ValueError(
                f"training diverged after step {state.step}: {error}; try a smaller learning rate"
            ) from error
        state.stopped = stopping.make_reason("non_finite", step=state.step, value=str(error), restored=state.best_step)

    def _finish_step(self, algorithm: Algorithm | TrlSteps, figures: dict[str, float]) -> None:
        """Report the figures of a step, evaluate and save a checkpoint when due. Raises Cancelled when the user asked
        to stop."""
        state = self.state
        for name, value in figures.items():
            check_finite(name, [value])
        state.step += 1
        self._report(figures)
        if (
            state.step % self.config.eval_steps == 0
            or self._needs_early_evaluation(figures)
            or state.step == self.config.max_steps
        ):
            self._evaluate(algorithm)
        if self.checkpoint and state.step % self.config.save_steps == 0 and distributed.is_main():
            state.constant_steps = self.rewards.constant_steps
            save_checkpoint(
                self.checkpoint, self.actor, state, self.best, self.rewards.adversary, self.reporter.position()
            )
        advance(self.reporter, state.step, self.config.max_steps)

    def _algorithm(self, data: TuningData) -> Algorithm | TrlSteps:
        if self.config.engine == "trl":
            return TrlSteps(self.actor, self.rewards, self.config, data.prompts, data.references)
        if self.config.on_policy:
            if self.config.algorithm not in ON_POLICY_ALGORITHMS:
                raise ValueError(f"algorithm {self.config.algorithm} needs `import training.engine.experimental`")
            return ON_POLICY_ALGORITHMS[self.config.algorithm](
                self.actor, self.rewards, self.config, data.prompts, data.references
            )
        return Direct(self.actor, self.config, data.train, data.validation)

    def _truncation(self, algorithm: Algorithm | TrlSteps, data: TuningData) -> list[str]:
        """Return sentences about truncated prompts and judged examples."""
        policy = self.actor.policy
        policy.truncated.clear()  # judged prompts have a different limit
        sampled = {*self.evaluator.prompts, *(data.prompts if self.config.on_policy else ())}
        for prompt in sampled:
            self.actor.prompt_ids(prompt)
        lines = [
            truncation(len(policy.truncated), len(sampled), policy.room(self.config.max_completion_length), "prompts")
        ]
        if isinstance(algorithm, Direct):
            lines.append(algorithm.truncation)
        return [line for line in lines if line]

    def _start(self, algorithm: Algorithm | TrlSteps) -> None:
        if isinstance(algorithm, OnPolicy):
            algorithm.prepare()
        result = self._evaluate(algorithm)
        selection, reported = map(len, self.evaluator.halves)
        self.reporter.log(f"selecting on {selection} held-out prompts, reporting on {reported} others")
        if result.rewards:
            spread = standard_error(result.rewards) * len(result.rewards) ** 0.5
            self.state.start = (result.figures["reward"], spread or 1.0)
            if self.config.best_of > 1 and self.config.temperature:
                self.state.best_of = self.evaluator.best_of(self.config.best_of)
                top = self.state.best_of[-1]
                self.reporter.log(
                    f"best of {top['n']:.0f} of the initial policy: reward {top['reward']:.3f}, KL {top['kl']:.2f}"
                )

    def _evaluate(self, algorithm: Algorithm | TrlSteps) -> EvalResult:
        """Evaluate on the held-out prompts, copy the weights if they are the best so far, and stop the run if due."""
        state = self.state
        result = self.evaluator.evaluate(state.step)
        if isinstance(algorithm, Direct):
            result.figures.update(algorithm.figures())
        for name, value in (*result.figures.items(), *result.selection.items()):
            check_finite(f"the held-out {name}", [value])
        state.evaluations.append(result)
        self.reporter.metric(state.step, **{f"held_out_{name}": value for name, value in result.figures.items()})
        self.reporter.log(f"step {state.step}: {_format_figures(result.figures)}")
        best = result
        if self.selects_best:
            best = control.best(state.evaluations, self.config.max_kl, self.config.distinct_floor)
        if best is result:
            self.best, state.best_step = self.actor.weights(), state.step
        if control.exceeds_max_kl(state.evaluations, self.config.max_kl):
            value = control.largest_kl(result)
            state.stopped = stopping.make_reason("max_kl", value=value, limit=self.config.max_kl)
        elif control.below_diversity_floor(state.evaluations, self.config.distinct_floor):
            value = control.relative_diversity(state.evaluations) * state.evaluations[0].figures["distinct_2"]
            state.stopped = stopping.make_reason("distinct_floor", value=value, limit=self.config.distinct_floor)
        elif control.over_optimized(state.evaluations):
            state.stopped = stopping.make_reason("over_optimization")
        elif self.config.target_quality and result.selection.get("quality", 0.0) >= self.config.target_quality:
            value = result.selection["quality"]
            state.stopped = stopping.make_reason("target_quality", value=value, limit=self.config.target_quality)
        return result

    def _needs_early_evaluation(self, figures: Mapping[str, float]) -> bool:
        """Return whether the KL grew by a quarter of its limit since the last evaluation, or exceeds the limit.

        A policy that moves fast would otherwise exceed the limit before the first evaluation, with nothing to keep.
        """
        limit, last = self.config.max_kl, self.state.evaluations[-1].kl
        return bool(limit) and figures.get("kl", 0.0) > min(limit, last + limit / 4)

    def _report(self, figures: Mapping[str, float]) -> None:
        self.reporter.metric(self.state.step, **figures)
        if self.state.sample:
            prompt, text, reward = self.state.sample
            self.reporter.sample(self.state.step, prompt, text, reward)

    def _finish(self, output: Path) -> dict[str, Any]:
        state = self.state
        best = next(result for result in state.evaluations if result.step == state.best_step)
        if self.best is not None and (best.step != state.step or state.stopped.get("reason") == "non_finite"):
            self.actor.set_weights(self.best)
        if state.stopped:
            self.reporter.log(f"stopped at step {state.step}: {stopping.format_reason(state.stopped)}")
        if best.step != state.step:
            self.reporter.log(f"restored the checkpoint of step {best.step}")
        self._report_comparisons(state.evaluations[0], best)
        if distributed.is_main():
            self.actor.save(output)
        return {
            "algorithm": self.config.algorithm,
            "engine": self.config.engine,
            "before": state.evaluations[0].figures,
            "after": best.figures,
            "steps": state.step,
            "best_step": best.step,
            "stopped": stopping.format_reason(state.stopped),
            "stop_reason": state.stopped,
            "beta": state.beta,
            "held_out_prompts": len(self.evaluator.reported),
            "truncation": self.truncation,
            "start": {"reward": state.start[0], "spread": state.start[1]},
            "frontier": [{"step": result.step, **result.figures} for result in state.evaluations],
            "best_of": state.best_of,
        }

    def _report_comparisons(self, before: EvalResult, after: EvalResult) -> None:
        """Report the samples before and after tuning for the reported held-out prompts."""
        texts = list(zip(before.texts, after.texts, strict=True))
        # A token's probability without its latent has no meaning.
        latent = self.actor.policy.latent
        pieces = [[[], []] for _ in texts] if latent else changes(self.actor, self.evaluator.reported, texts)
        for n, prompt in enumerate(self.evaluator.reported):
            rewards = (before.rewards[n], after.rewards[n]) if after.rewards else None
            self.reporter.comparison(after.step, prompt, texts[n], rewards, (pieces[n][0], pieces[n][1]))


def _format_figures(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
