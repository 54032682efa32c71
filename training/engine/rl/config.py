"""The settings of a tuning run, and what each algorithm is."""

import math
from dataclasses import dataclass

from training.engine.rl.engines import refusals

CREDITS = ("rloo", "grpo", "ppo", "reinforce", "expert-iteration")
ON_POLICY = (*CREDITS, "pathwise")
DIRECT = ("dpo", "kto")
ALGORITHMS = (*ON_POLICY, *DIRECT)
NEEDS_GROUPS = {"rloo", "grpo", "expert-iteration"}
# Which estimators of the KL are right where an algorithm has its penalty. In a reward the gradient of k2 and k3 points
# away from the reference; in a loss that of k1 is zero on average (Schulman 2020; Tang & Munos 2025).
KL_ESTIMATORS = {**dict.fromkeys(CREDITS, ("k1",)), "grpo": ("k3", "k2")}


@dataclass(frozen=True)
class PolicyConfig:
    """learning_rate 0 takes 1e-5 for 135 million parameters, growing with the root of a smaller model's size; with
    LoRA ten times that. critic_learning_rate: of ppo's value head.

    beta is the first KL coefficient of the on-policy family; with kl_target > 0 it adapts (Ziegler et al. 2019, eq. 7).
    For dpo and kto it is `direct_beta` that scales the implicit reward, and max_length is how many tokens they read of
    a prompt with a judged response at most. kl_estimator "auto" is k1 in the reward, and
    k3 in the loss for grpo, as in their papers. kl_budget > 0 is the KL to the start, in nats a response on the
    held-out prompts, that the saved policy never exceeds. An unfinished response gets `unfinished_penalty` off its
    reward: it was cut, not ended. reward_clip > 0 holds the sum of the terms within that many spreads of the start's.
    distinct_floor > 0 is the share of the start's distinct-2 on the held-out prompts that the saved policy never
    falls below; the run ends where it does. until_quality > 0 ends the run at the first look at which the held-out
    prompts' responses have that calibrated quality on average.
    """

    algorithm: str = "rloo"
    engine: str = "palate"
    steps: int = 60
    prompts_per_step: int = 16
    samples_per_prompt: int = 4
    max_new_tokens: int = 64
    max_length: int = 1024
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    learning_rate: float = 0.0
    epochs: int = 1
    minibatches: int = 1
    clip: float = 0.2
    beta: float = 0.05
    direct_beta: float = 0.1
    kl_target: float = 0.0
    kl_budget: float = 0.0
    kl_estimator: str = "auto"
    until_quality: float = 0.0
    distinct_floor: float = 0.0
    whiten_rewards: bool = False
    reward_clip: float = 0.0
    unfinished_penalty: float = 1.0
    gamma: float = 1.0
    lam: float = 0.95
    critic_learning_rate: float = 1e-3
    lora_rank: int = 0
    precision: str = "auto"
    sampler: str = "transformers"
    sampler_address: str = "http://127.0.0.1:8000"
    look_every: int = 10
    best_of: int = 8
    checkpoint_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for settings that contradict one another."""
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, not {self.algorithm!r}")
        if self.algorithm in NEEDS_GROUPS and self.samples_per_prompt < 2:
            raise ValueError(
                f"{self.algorithm} compares the samples of a prompt, so it needs at least 2 samples a prompt, "
                f"not {self.samples_per_prompt}; reinforce and ppo work with one"
            )
        right = KL_ESTIMATORS.get(self.algorithm)
        if right and self.kl_estimator not in ("auto", *right):
            raise ValueError(
                f"kl_estimator {self.kl_estimator!r} is wrong in the {self._penalty} of {self.algorithm}: "
                f"expected auto or {' or '.join(right)}"
            )
        if self.sampler == "vllm" and not self.lora_rank:
            raise ValueError("the sampler vllm is given a LoRA adapter each step, so lora_rank must be at least 1")
        if self.max_length < 2:
            raise ValueError(
                f"max_length must be at least 2, a token of a prompt and one of a response, not {self.max_length}"
            )
        if self.on_policy and not self.temperature > 0:
            raise ValueError(
                f"{self.algorithm} learns from samples that differ, so temperature must be above 0, not "
                f"{self.temperature}; {' and '.join(DIRECT)} take 0, greedy decoding of the held-out prompts"
            )
        if self.whiten_rewards and self.prompts_per_step * self.samples_per_prompt < 2:
            raise ValueError("whiten_rewards needs at least 2 samples a step: a single reward has no variance")
        if self.minibatches > self.prompts_per_step:
            raise ValueError(f"{self.minibatches} minibatches cannot be cut from {self.prompts_per_step} prompts")
        for name, wrong in refusals(self):
            raise ValueError(f"{name} {wrong}")

    @property
    def on_policy(self) -> bool:
        return self.algorithm in ON_POLICY

    @property
    def _penalty(self) -> str:
        return "loss" if self.algorithm == "grpo" else "reward"

    @property
    def estimator(self) -> str:
        """The estimator of the KL penalty: k1 in a reward; in grpo's loss k3, as in its paper, or k2."""
        return KL_ESTIMATORS[self.algorithm][0] if self.kl_estimator == "auto" else self.kl_estimator

    @property
    def updates(self) -> int:
        """Optimiser steps on one batch of samples."""
        return self.epochs * self.minibatches

    def rate(self, parameters: int) -> float:
        return self.learning_rate or 1e-5 * math.sqrt(135e6 / parameters) * (10 if self.lora_rank else 1)
