"""The state of a tuning run besides weights and optimizer, and its checkpoints."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from training.engine.rl.actor import Actor
from training.engine.rl.rewards import LearnedTerm
from training.engine.runtime import checkpoints


@dataclass
class EvalResult:
    """The policy's figures on the held-out prompts at one step.

    One half of the prompts is reported; the other half selects the policy and stops the run. The lists have one entry
    per prompt.
    """

    step: int
    texts: list[str]  # reported half
    rewards: list[float]  # reported half
    guards: list[float]  # guard rewards of the selection half; empty without a guard
    figures: dict[str, float]  # reported half
    selection: dict[str, float]

    @property
    def kl(self) -> float:
        return self.figures["kl"]


@dataclass
class State:
    """The progress of a run. Samples and prompts are functions of seed and step, so no generator state is needed."""

    step: int = 0
    beta: float = 0.0
    start: tuple[float, float] = (0.0, 1.0)  # mean and standard deviation of the reward before the first step
    evaluations: list[EvalResult] = field(default_factory=list)
    best_of: list[dict[str, float]] = field(default_factory=list)
    constant_steps: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, Any] = field(default_factory=dict)  # training.engine.runtime.stopping
    best_step: int = 0
    sample: tuple[str, str, float] | None = None


def save_checkpoint(
    path: Path,
    actor: Actor,
    state: State,
    best: dict[str, Tensor] | None,
    adversary: LearnedTerm | None,
    position: dict[str, int],
) -> None:
    checkpoint = {
        "position": position,
        "weights": actor.weights(),
        "optimizer": actor.optimizer.state_dict(),
        "state": asdict(state),
        "best": best,
        "adversary": adversary.state() if adversary else None,
    }
    checkpoints.write(path, checkpoint)


def load_checkpoint(
    path: Path, actor: Actor, adversary: LearnedTerm | None
) -> tuple[State, dict[str, Tensor] | None, dict[str, int]]:
    """Restore actor and adversary; return the state, the best weights and the reporter's position.

    Raises ValueError for the checkpoint of another run or version.
    """
    checkpoint = checkpoints.read(path)
    if set(checkpoint["weights"]) != set(actor.weights()):
        raise ValueError(f"{path}: this checkpoint was made with another model or other settings")
    actor.set_weights(checkpoint["weights"])
    actor.optimizer.load_state_dict(checkpoint["optimizer"])
    if adversary:
        adversary.set_state(checkpoint["adversary"])
    values = checkpoint["state"]
    state = State(**{**values, "evaluations": [EvalResult(**result) for result in values["evaluations"]]})
    return state, checkpoint["best"], checkpoint["position"]
