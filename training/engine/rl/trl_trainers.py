"""TRL's unmodified RLOOTrainer and GRPOTrainer in place of Palate's steps (training.engine.rl.engines).

TRL samples, computes log-probabilities and updates; rewards, prompts and optimizer are passed through its public
arguments. Evaluations, guard, KL limit, checkpoints and the saved folder remain Palate's, so the figures of both
engines are comparable. The prompts and the seed of a step are the same as in Palate's own steps.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from training.engine.data.formatting import messages_of
from training.engine.generation.decoding import Sample
from training.engine.generation.sampling import banned_tokens
from training.engine.rl.actor import Actor
from training.engine.rl.config import PolicyConfig
from training.engine.rl.rewards import RewardSum
from training.engine.rl.rollouts import Rollout, make_rollout, shuffled_batch
from training.engine.rl.state import State
from training.engine.runtime import distributed

StepCallback = Callable[[dict[str, float]], None]


class TrlSteps:
    def __init__(
        self,
        actor: Actor,
        rewards: RewardSum,
        config: PolicyConfig,
        prompts: Sequence[str],
        references: Any,
    ) -> None:
        """Raise ValueError for what TRL's trainers do not support."""
        if distributed.world_size() > 1:
            raise ValueError("the engine trl runs in one process; start it without accelerate or torchrun")
        if rewards.adversary:
            raise ValueError("the engine trl does not support a discriminator, which learns during tuning")
        if actor.policy.encoder_decoder or actor.policy.latent:
            raise ValueError("the engine trl tunes causal language models without a latent")
        self.actor, self.rewards, self.config = actor, rewards, config
        self.prompts, self.references = prompts, references
        self.by_text = {str(prompt): prompt for prompt in prompts}
        self.figures: dict[str, float] = {}
        self.sample: tuple[str, str, float] | None = None

    def run(self, state: State, on_step: StepCallback) -> None:
        """Take all steps from `state.step` on; `on_step` receives the figures of each step, counts it and may stop the
        run."""
        rows = [
            {"prompt": self._trl_prompt(prompt), "question": str(prompt)}
            for step in range(state.step, self.config.max_steps)
            for prompt in shuffled_batch(self.prompts, step, self.config.prompts_per_step, self.config.seed)
        ]
        if not rows or state.stopped:
            return
        name = self.actor.policy.model.config.name_or_path
        with tempfile.TemporaryDirectory(prefix="palate-trl-") as folder:
            try:
                self._trainer(Path(folder), rows, state, on_step).train()
            finally:
                self.actor.policy.model.config.name_or_path = name

    def _trainer(self, folder: Path, rows: list[dict[str, Any]], state: State, on_step: StepCallback) -> Any:
        from datasets import Dataset
        from transformers import PrinterCallback
        from trl import GRPOTrainer, RLOOTrainer

        kind = RLOOTrainer if self.config.algorithm == "rloo" else GRPOTrainer
        optimizer = self.actor.optimizer
        trainer = kind(
            model=self._on_disk(folder / "start"),
            reward_funcs=self.reward,
            args=self._arguments(folder / "state", len(rows) // self.config.prompts_per_step),
            train_dataset=Dataset.from_list(rows),
            processing_class=self.actor.policy.tokenizer,
            callbacks=[_step_callback(self, state, on_step)],
            optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)),
        )
        trainer.remove_callback(PrinterCallback)
        self._check_reference(trainer.ref_model)
        return trainer

    def _on_disk(self, start: Path) -> Any:
        """Return the policy after saving its reference to disk: TRL loads its reference from `name_or_path`, which
        would otherwise be the policy's origin."""
        model, reference = self.actor.policy.model, self.actor.reference
        if reference is None:
            return self.actor.adapted  # with LoRA the reference is the model with its adapter disabled
        reference.save_pretrained(start)
        model.config.name_or_path = str(start)
        return model

    def _check_reference(self, trl_reference: Any) -> None:
        reference = self.actor.reference
        if trl_reference is None or reference is None:  # beta is 0, or the adapter is disabled instead
            return
        parameters = zip(trl_reference.parameters(), reference.parameters(), strict=True)
        if any(not torch.equal(a, b) for a, b in parameters):
            raise RuntimeError("TRL's reference differs from the policy before the first step: every KL would be wrong")

    def _arguments(self, folder: Path, steps: int) -> Any:
        """Return TRL's settings for the formulas in docs/reference/algorithms.md."""
        from trl import GRPOConfig, RLOOConfig

        config = self.config
        banned = [[token] for token in banned_tokens(self.actor.policy)]
        common: dict[str, Any] = {
            "output_dir": str(folder),
            "max_steps": steps,
            "per_device_train_batch_size": config.prompts_per_step * config.num_generations,
            "steps_per_generation": 1,
            "num_generations": config.num_generations,
            "max_completion_length": config.max_completion_length,
            "temperature": config.temperature,
            "top_k": config.top_k,
            "top_p": config.top_p,
            "generation_kwargs": {"bad_words_ids": banned} if banned else None,
            "beta": config.beta,
            "epsilon": config.epsilon,
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

    def _trl_prompt(self, prompt: str) -> Any:
        """Return the prompt in TRL's form. Raises ValueError where TRL would tokenize it differently than Palate."""
        tokenizer = self.actor.policy.tokenizer
        expected = self.actor.prompt_ids(prompt)
        if getattr(tokenizer, "chat_template", None):
            trl_prompt: Any = list(messages_of(prompt))
            ids = tokenizer.apply_chat_template(trl_prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
        else:
            trl_prompt = tokenizer.decode(expected)
            ids = tokenizer(text=trl_prompt)["input_ids"]
        if list(ids) != list(expected):
            raise ValueError(
                "the engine trl tokenizes this prompt differently than Palate; use a shorter prompt, or one without "
                f"names of special tokens: {prompt[:80]!r}"
            )
        return trl_prompt

    def reward(self, *, question: Sequence[str], completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        """Compute Palate's rewards as one of TRL's `reward_funcs`, with the samples of each prompt adjacent."""
        rollout = self._rollout(question, completion_ids)
        total, terms = self.rewards(rollout.completions)
        self.rewards.check_variation(terms)
        self.sample = (question[0], rollout.completions.texts[0], total[0].item())
        self.figures = {
            "reward": total.mean().item(),
            **({f"reward_{name}": values.mean().item() for name, values in terms.items()} if len(terms) > 1 else {}),
            "finished": rollout.finished.float().mean().item(),
        }
        return (total - self.config.missing_eos_penalty * (~rollout.finished).float()).tolist()

    def _rollout(self, question: Sequence[str], completion_ids: Sequence[Sequence[int]]) -> Rollout:
        """Return TRL's samples as a rollout for Palate's reward terms, without log-probabilities."""
        # A dataset stores a conversation as its text only.
        prompts = [self.by_text[text] for text in question[:: self.config.num_generations]]
        samples = [Sample(tuple(ids), (0.0,) * len(ids)) for ids in completion_ids]
        heads = [self.actor.prompt_ids(prompt) for prompt in prompts]
        return make_rollout(self.actor, prompts, heads, samples, self.references)

    def step_figures(self, logs: dict[str, float]) -> dict[str, float]:
        """Convert TRL's log of a step to Palate's figures; TRL's KL is a mean over tokens, Palate's is per response."""
        length = logs["completions/mean_length"]
        kl = {"kl": logs["kl"] * length} if "kl" in logs else {}
        return {
            **self.figures, **kl, "length": length, "beta": self.config.beta, "entropy": logs["entropy"],
            "grad_norm": logs["grad_norm"],
        }  # fmt: skip


def _step_callback(steps: TrlSteps, run_state: State, on_step: StepCallback) -> Any:
    from transformers import TrainerCallback

    class StepHook(TrainerCallback):
        """Seeds each step as a function of seed and step, and hands its figures to Palate."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            torch.manual_seed(steps.config.seed * 1_000_003 + run_state.step)

        def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:
            if "grad_norm" not in event["logs"]:  # the summary at the end
                return
            run_state.sample = steps.sample
            on_step(steps.step_figures(event["logs"]))
            control.should_training_stop |= bool(run_state.stopped)

    return StepHook()
