"""The form that starts a run by its options alone, for pages and the API."""

from typing import Any

from annotate.models.studies import Study
from training.models import ModelKind, RunKind
from training.registry import model_versions
from training.runs.job import JOBS
from training.runs.options import form_of

# Jobs that a page starts by their options alone, in the order in which the loop needs them. Imports need files.
STARTED_HERE = [
    RunKind.PRETRAIN,
    RunKind.GENERATE,
    RunKind.SIMULATE,
    RunKind.MACHINE_JUDGE,
    RunKind.TRAIN_PREFERENCE,
    RunKind.DISTIL,
    RunKind.EVALUATE,
    RunKind.SCORE,
    RunKind.NEXT_TASKS,
    RunKind.RL_FINETUNE,
    RunKind.NEXT_ROUND,
]


def form_for(study: Study, kind: str) -> type[Any]:
    """The form of a kind of run as pages and the API take it: registered models only, no files of the server."""
    return form_of(JOBS[kind].options, models={model: model_versions.choices(study, model) for model in ModelKind})


def values_of(cleaned: dict[str, Any]) -> dict[str, Any]:
    """What was filled in; the rest keeps the job's defaults."""
    return {name: value for name, value in cleaned.items() if value not in (None, "")}
