"""What a tuning run remembers beside weights and optimiser, and its checkpoints."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from training.engine.rl.actor import Actor
from training.engine.rl.rewards import LearnedTerm
from training.engine.runtime import checkpoints


@dataclass
class Look:
    """The policy on the held-out prompts at one step. What is reported is of the one half of the prompts, what decides
    which policy is kept and when the run stops is of the other; the lists have one entry a prompt."""

    step: int
    texts: list[str]  # reported
    rewards: list[float]  # reported
    guards: list[float]  # of the guard, for the selection; empty without one
    figures: dict[str, float]  # reported
    selection: dict[str, float]

    @property
    def kl(self) -> float:
        return self.figures["kl"]


@dataclass
class State:
    """Samples and prompts of a step are functions of seed and step, so no generator needs to be remembered."""

    step: int = 0
    beta: float = 0.0
    start: tuple[float, float] = (0.0, 1.0)  # mean and spread of the reward before the first step
    looks: list[Look] = field(default_factory=list)
    best_of: list[dict[str, float]] = field(default_factory=list)
    same: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, Any] = field(default_factory=dict)  # training.engine.runtime.stopping
    best_step: int = 0
    sample: tuple[str, str, float] | None = None


def keep(
    path: Path,
    actor: Actor,
    state: State,
    best: dict[str, Tensor] | None,
    adversary: LearnedTerm | None,
    told: dict[str, int],
) -> None:
    kept = {
        "told": told,
        "weights": actor.weights(),
        "optimizer": actor.optimizer.state_dict(),
        "state": asdict(state),
        "best": best,
        "adversary": adversary.state() if adversary else None,
    }
    checkpoints.write(path, kept)


def resume(
    path: Path, actor: Actor, adversary: LearnedTerm | None
) -> tuple[State, dict[str, Tensor] | None, dict[str, int]]:
    """Put all back to where they were; returns the state, the best weights and what was told by then. Raises ValueError
    for the checkpoint of another run or version."""
    kept = checkpoints.read(path)
    if set(kept["weights"]) != set(actor.weights()):
        raise ValueError(f"{path}: this checkpoint was made with another model or other settings")
    actor.set_weights(kept["weights"])
    actor.optimizer.load_state_dict(kept["optimizer"])
    if adversary:
        adversary.set_state(kept["adversary"])
    state = State(**{**kept["state"], "looks": [Look(**look) for look in kept["state"]["looks"]]})
    return state, kept["best"], kept["told"]
