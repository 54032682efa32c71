"""What torchrun runs in test_parallel, and test_parallel alone: tuning runs that tell their figures and weights."""

import dataclasses
import json
import os
import sys
from pathlib import Path

from tests.training.engine.conftest import records
from tests.training.engine.policy.conftest import PROMPTS, Remembering
from training.engine.rl.config import PolicyConfig
from training.engine.rl.finetune import TuningData, rl_finetune
from training.engine.rl.rewards import RewardConfig

CONFIG = PolicyConfig(
    max_steps=2,
    prompts_per_step=4,
    num_generations=3,
    max_completion_length=16,
    learning_rate=1e-3,
    best_of=1,
    eval_steps=9,
)
# Each of them computes something over the whole batch, not over a process's part of it.
VARIANTS = {
    "rloo": {"algorithm": "rloo", "whiten_rewards": True, "num_iterations": 2, "num_mini_batches": 2},
    "reinforce": {"algorithm": "reinforce", "num_generations": 1},
    "ppo": {"algorithm": "ppo", "num_mini_batches": 3},
    "kto": {"algorithm": "kto", "prompts_per_step": 2},
    "dpo": {"algorithm": "dpo", "prompts_per_step": 6},  # of five, so that one process has fewer
}


def lengths(prompts, responses):
    return [float(len(text)) / 10 for text in responses]


def run(name: str, policy: str, folder: Path) -> dict:
    """The curves of a run, and its figures and weights at the end."""
    reporter = Remembering()
    metrics = rl_finetune(
        policy=policy,
        reward=RewardConfig(function=f"{lengths.__module__}.lengths"),
        data=TuningData(PROMPTS * 4, PROMPTS, {}, records(5), records(2, 5)),
        output=folder / name,
        config=dataclasses.replace(CONFIG, **VARIANTS[name]),
        reporter=reporter,
    )
    saved = folder / name / "model.safetensors"
    weights = sum(value.double().abs().sum() for value in _load(saved).values()).item() if saved.exists() else 0.0
    return {"points": reporter.points, "after": metrics["after"], "weights": weights}


def _load(path: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(path)


def main(policy: str, folder: str) -> None:
    # Run as __main__, the reward function is found under the module's own name all the same.
    import tests.training.engine.policy.two_processes as this

    result = {name: this.run(name, policy, Path(folder) / os.environ["RANK"]) for name in VARIANTS}
    (Path(folder) / f"{os.environ['RANK']}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
