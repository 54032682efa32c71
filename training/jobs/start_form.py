"""The form that starts a run, for pages and the API."""

from typing import Any

from annotate.models.studies import Study
from training.models import ModelKind, RunKind
from training.registry import model_versions
from training.runs.job import JOBS
from training.runs.options import form_of

# Jobs that a page can start, in the order of the loop; imports need files.
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
    """Return the form of a kind of run for pages and the API: registered models only, no files of the server."""
    return form_of(JOBS[kind].options, models={model: model_versions.choices(study, model) for model in ModelKind})


def values_of(cleaned: dict[str, Any]) -> dict[str, Any]:
    """Return the values that were filled in; the others keep the job's defaults."""
    return {name: value for name, value in cleaned.items() if value not in (None, "")}
