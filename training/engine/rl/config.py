"""The settings of a tuning run and the properties of each algorithm."""

import math
from dataclasses import dataclass

from training.engine.rl.engines import unsupported

POLICY_GRADIENT = ("rloo", "grpo", "ppo", "reinforce", "expert-iteration")
ON_POLICY = (*POLICY_GRADIENT, "pathwise")
DIRECT = ("dpo", "kto")
ALGORITHMS = (*ON_POLICY, *DIRECT)
NEEDS_GROUPS = {"rloo", "grpo", "expert-iteration"}
# The KL estimators that are correct where an algorithm applies its penalty. In a reward the gradients of k2 and k3
# point away from the reference; in a loss that of k1 is zero on average (Schulman 2020; Tang & Munos 2025).
KL_ESTIMATORS = {**dict.fromkeys(POLICY_GRADIENT, ("k1",)), "grpo": ("k3", "k2")}


@dataclass(frozen=True)
class PolicyConfig:
    """Settings of a tuning run; names follow TRL and transformers where the meaning is the same.

    learning_rate: 0 uses 1e-5 for 135 million parameters, scaled with the inverse root of the size, and ten times that
    with LoRA. critic_learning_rate: of ppo's value head. num_iterations, num_mini_batches: passes over each batch of
    samples, and optimizer steps per pass. epsilon: clipping range of the probability ratio.

    beta: initial KL coefficient of the on-policy algorithms; kl_target > 0 adapts it (Ziegler et al. 2019, eq. 7).
    direct_beta: scale of the implicit reward of dpo and kto. max_length: their limit in tokens for a prompt with a
    judged response. kl_estimator: "auto" is k1 in the reward, and k3 in grpo's loss, as in their papers. max_kl > 0:
    limit in nats per response on the held-out prompts that the saved policy never exceeds. missing_eos_penalty:
    subtracted from the reward of a response that was cut. reward_clip > 0: clips the summed reward to this many
    standard deviations around the initial mean. distinct_floor > 0: share of the initial distinct-2 on the held-out
    prompts; the run stops below it, and the saved policy is never below it. target_quality > 0: the run stops at the
    first evaluation with this mean calibrated quality on the held-out prompts.
    """

    algorithm: str = "rloo"
    engine: str = "palate"
    max_steps: int = 60
    prompts_per_step: int = 16
    num_generations: int = 4
    max_completion_length: int = 64
    max_length: int = 1024
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    learning_rate: float = 0.0
    num_iterations: int = 1
    num_mini_batches: int = 1
    epsilon: float = 0.2
    beta: float = 0.05
    direct_beta: float = 0.1
    kl_target: float = 0.0
    max_kl: float = 0.0
    kl_estimator: str = "auto"
    target_quality: float = 0.0
    distinct_floor: float = 0.0
    whiten_rewards: bool = False
    reward_clip: float = 0.0
    missing_eos_penalty: float = 1.0
    gamma: float = 1.0
    lam: float = 0.95
    critic_learning_rate: float = 1e-3
    lora_r: int = 0
    precision: str = "auto"
    sampler: str = "transformers"
    vllm_server_base_url: str = "http://127.0.0.1:8000"
    eval_steps: int = 10
    best_of: int = 8
    save_steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for settings that contradict one another."""
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, not {self.algorithm!r}")
        if self.algorithm in NEEDS_GROUPS and self.num_generations < 2:
            raise ValueError(
                f"{self.algorithm} compares the samples of a prompt, so it needs at least 2 samples per prompt, "
                f"not {self.num_generations}; reinforce and ppo work with one"
            )
        right = KL_ESTIMATORS.get(self.algorithm)
        if right and self.kl_estimator not in ("auto", *right):
            raise ValueError(
                f"kl_estimator {self.kl_estimator!r} is wrong in the {self._penalty} of {self.algorithm}: "
                f"expected auto or {' or '.join(right)}"
            )
        if self.sampler == "vllm" and not self.lora_r:
            raise ValueError("the sampler vllm receives a LoRA adapter each step, so lora_r must be at least 1")
        if self.max_length < 2:
            raise ValueError(
                f"max_length must be at least 2, one token of the prompt and one of the response, not {self.max_length}"
            )
        if self.on_policy and not self.temperature > 0:
            raise ValueError(
                f"{self.algorithm} learns from different samples, so temperature must be above 0, not "
                f"{self.temperature}; {' and '.join(DIRECT)} accept 0, greedy decoding of the held-out prompts"
            )
        if self.whiten_rewards and self.prompts_per_step * self.num_generations < 2:
            raise ValueError("whiten_rewards needs at least 2 samples per step: a single reward has no variance")
        if self.num_mini_batches > self.prompts_per_step:
            raise ValueError(
                f"num_mini_batches must be at most prompts_per_step ({self.prompts_per_step}), not "
                f"{self.num_mini_batches}"
            )
        for name, wrong in unsupported(self):
            raise ValueError(f"{name} {wrong}")

    @property
    def on_policy(self) -> bool:
        return self.algorithm in ON_POLICY

    @property
    def _penalty(self) -> str:
        return "loss" if self.algorithm == "grpo" else "reward"

    @property
    def estimator(self) -> str:
        """The estimator of the KL penalty: k1 in a reward, k3 or k2 in grpo's loss."""
        return KL_ESTIMATORS[self.algorithm][0] if self.kl_estimator == "auto" else self.kl_estimator

    @property
    def updates(self) -> int:
        """The number of optimizer steps on one batch of samples."""
        return self.num_iterations * self.num_mini_batches

    def rate(self, parameters: int) -> float:
        return self.learning_rate or 1e-5 * math.sqrt(135e6 / parameters) * (10 if self.lora_r else 1)
