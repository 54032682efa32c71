"""The tables of runs, models and rounds."""

from training.models.choices import ModelKind, RunKind, RunState
from training.models.registry import ModelVersion, ResponseReward, Snapshot, chance, short_name
from training.models.rounds import Round
from training.models.runs import Run, RunPoint, RunSample

__all__ = [
    "ModelKind",
    "ModelVersion",
    "ResponseReward",
    "Round",
    "Run",
    "RunKind",
    "RunPoint",
    "RunSample",
    "RunState",
    "Snapshot",
    "chance",
    "short_name",
]
