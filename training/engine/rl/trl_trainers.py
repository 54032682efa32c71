"""TRL's own RLOOTrainer and GRPOTrainer, unchanged, in place of Palate's steps (training.engine.rl.engines).

TRL samples, computes log-probabilities and updates; rewards, prompts and optimiser are given to it by its public
arguments. Looks, guard, budget, checkpoints and the saved folder stay Palate's, so both engines' figures mean the same.
The prompts of a step and its seed are those of Palate's own steps, too.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from training.engine.data.formatting import messages_of
from training.engine.generation.decoding import Drawn
from training.engine.generation.sampling import banned_tokens
from training.engine.rl.actor import Actor
from training.engine.rl.config import PolicyConfig
from training.engine.rl.rewards import RewardSum
from training.engine.rl.rollouts import Rollout, dealt, of_samples
from training.engine.rl.state import State
from training.engine.runtime import distributed

Done = Callable[[dict[str, float]], None]


class TrlSteps:
    def __init__(
        self,
        actor: Actor,
        rewards: RewardSum,
        config: PolicyConfig,
        prompts: Sequence[str],
        references: Any,
    ) -> None:
        """Raises ValueError for what TRL's trainers do not take, naming it."""
        if distributed.processes() > 1:
            raise ValueError("the engine trl runs in one process; start it without accelerate or torchrun")
        if rewards.adversary:
            raise ValueError("a discriminator learns beside the policy, which the engine trl does not wait for")
        if actor.policy.encoder_decoder or actor.policy.latent:
            raise ValueError("the engine trl tunes causal language models, without a latent")
        self.actor, self.rewards, self.config = actor, rewards, config
        self.prompts, self.references = prompts, references
        self.by_text = {str(prompt): prompt for prompt in prompts}
        self.figures: dict[str, float] = {}
        self.sample: tuple[str, str, float] | None = None

    def run(self, state: State, done: Done) -> None:
        """All steps from `state.step` on; `done` is called with the figures of each, counts it, and may stop it all."""
        asked = [
            {"prompt": self._asked(prompt), "question": str(prompt)}
            for step in range(state.step, self.config.steps)
            for prompt in dealt(self.prompts, step, self.config.prompts_per_step, self.config.seed)
        ]
        if not asked or state.stopped:
            return
        name = self.actor.policy.model.config.name_or_path
        with tempfile.TemporaryDirectory(prefix="palate-trl-") as folder:
            try:
                self._trainer(Path(folder), asked, state, done).train()
            finally:
                self.actor.policy.model.config.name_or_path = name

    def _trainer(self, folder: Path, asked: list[dict[str, Any]], state: State, done: Done) -> Any:
        from datasets import Dataset
        from transformers import PrinterCallback
        from trl import GRPOTrainer, RLOOTrainer

        kind = RLOOTrainer if self.config.algorithm == "rloo" else GRPOTrainer
        optimizer = self.actor.optimizer
        trainer = kind(
            model=self._on_disk(folder / "start"),
            reward_funcs=self.reward,
            args=self._arguments(folder / "state", len(asked) // self.config.prompts_per_step),
            train_dataset=Dataset.from_list(asked),
            processing_class=self.actor.policy.tokenizer,
            callbacks=[_each_step(self, state, done)],
            optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)),
        )
        trainer.remove_callback(PrinterCallback)
        self._check_reference(trainer.ref_model)
        return trainer

    def _on_disk(self, start: Path) -> Any:
        """The policy, of which the start now lies on disk: TRL reads its reference again from there, and else would
        from whatever the policy once came from."""
        model, reference = self.actor.policy.model, self.actor.reference
        if reference is None:
            return self.actor.adapted  # with LoRA the reference is the adapter switched off
        reference.save_pretrained(start)
        model.config.name_or_path = str(start)
        return model

    def _check_reference(self, found: Any) -> None:
        wanted = self.actor.reference
        if found is None or wanted is None:  # beta is 0, or the adapter is switched off instead
            return
        if any(not torch.equal(a, b) for a, b in zip(found.parameters(), wanted.parameters(), strict=True)):
            raise RuntimeError("TRL's reference is not the policy before the first step, so every KL would be wrong")

    def _arguments(self, folder: Path, steps: int) -> Any:
        """TRL's settings, with the formulas that docs/reference/algorithms.md gives for the algorithm."""
        from trl import GRPOConfig, RLOOConfig

        config = self.config
        banned = [[token] for token in banned_tokens(self.actor.policy)]
        common: dict[str, Any] = {
            "output_dir": str(folder),
            "max_steps": steps,
            "per_device_train_batch_size": config.prompts_per_step * config.samples_per_prompt,
            "steps_per_generation": 1,
            "num_generations": config.samples_per_prompt,
            "max_completion_length": config.max_new_tokens,
            "temperature": config.temperature,
            "top_k": config.top_k,
            "top_p": config.top_p,
            "generation_kwargs": {"bad_words_ids": banned} if banned else None,
            "beta": config.beta,
            "epsilon": config.clip,
            "max_grad_norm": 1.0,
            "seed": config.seed,
            "shuffle_dataset": False,
            "disable_dropout": True,
            "gradient_checkpointing": False,
            "use_cpu": True,
            "bf16": False,
            "save_strategy": "no",
            "logging_steps": 1,
            "report_to": "none",
            "disable_tqdm": True,
        }
        if config.algorithm == "rloo":
            return RLOOConfig(**common)
        return GRPOConfig(**common, loss_type="grpo", scale_rewards="group", use_bias_correction_kl=False)

    def _asked(self, prompt: str) -> Any:
        """The prompt as TRL is to be given it. Raises ValueError where TRL would read other tokens than Palate."""
        tokenizer = self.actor.policy.tokenizer
        wanted = self.actor.prompt_ids(prompt)
        if getattr(tokenizer, "chat_template", None):
            asked: Any = list(messages_of(prompt))
            read = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True)["input_ids"]
        else:
            asked = tokenizer.decode(wanted)
            read = tokenizer(text=asked)["input_ids"]
        if list(read) != list(wanted):
            raise ValueError(
                "the engine trl reads this prompt as other tokens than Palate; one that is shorter, or that names no "
                f"special token, may help: {prompt[:80]!r}"
            )
        return asked

    def reward(self, *, question: Sequence[str], completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        """Palate's reward as one of TRL's `reward_funcs`; one a sample, samples of a prompt side by side."""
        rollout = self._rollout(question, completion_ids)
        total, terms = self.rewards(rollout.written)
        self.rewards.watch(terms)
        self.sample = (question[0], rollout.written.texts[0], total[0].item())
        self.figures = {
            "reward": total.mean().item(),
            **({f"reward_{name}": values.mean().item() for name, values in terms.items()} if len(terms) > 1 else {}),
            "finished": rollout.finished.float().mean().item(),
        }
        return (total - self.config.unfinished_penalty * (~rollout.finished).float()).tolist()

    def _rollout(self, question: Sequence[str], completion_ids: Sequence[Sequence[int]]) -> Rollout:
        """Samples of TRL's as Palate's terms are given them; their log-probabilities stay with TRL."""
        # A dataset keeps a conversation as its text alone.
        prompts = [self.by_text[text] for text in question[:: self.config.samples_per_prompt]]
        drawn = [Drawn(tuple(ids), (0.0,) * len(ids)) for ids in completion_ids]
        heads = [self.actor.prompt_ids(prompt) for prompt in prompts]
        return of_samples(self.actor, prompts, heads, drawn, self.references)

    def told(self, logs: dict[str, float]) -> dict[str, float]:
        """TRL's log of a step in Palate's words: its KL is a mean over tokens, ours of whole responses."""
        length = logs["completions/mean_length"]
        kl = {"kl": logs["kl"] * length} if "kl" in logs else {}
        return {
            **self.figures, **kl, "length": length, "beta": self.config.beta, "entropy": logs["entropy"],
            "grad_norm": logs["grad_norm"],
        }  # fmt: skip


def _each_step(steps: TrlSteps, reached: State, done: Done) -> Any:
    from transformers import TrainerCallback

    class EachStep(TrainerCallback):
        """A step's draws are a function of seed and step, as everywhere; what follows it is Palate's."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            torch.manual_seed(steps.config.seed * 1_000_003 + reached.step)

        def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            if "grad_norm" not in given["logs"]:  # the summary at the end
                return
            reached.sample = steps.sample
            done(steps.told(given["logs"]))
            control.should_training_stop |= bool(reached.stopped)

    return EachStep()
