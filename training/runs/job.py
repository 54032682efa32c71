from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from annotate.models.studies import Study
from core.errors import PalateError
from training.engine.runtime.progress import Reporter
from training.models import Run


@dataclass(frozen=True)
class Job:
    """One kind of run.

    options: a dataclass of training.runs.options.option fields.
    check: raises PalateError when the study or the options cannot work; loads no model, writes nothing.
    perform: does the work and returns the run's result, JSON-ready.
    assist: what the further processes of a launcher do, for a job that several can share; they write nothing. They are
        given the run that goes on from its checkpoint, if one does.
    """

    options: type
    check: Callable[[Study | None, Any], None]
    perform: Callable[[Run, Any, Reporter], Mapping[str, Any]]
    summary: str
    assist: Callable[[Study | None, Any, Run | None], None] | None = None


# The jobs by the kind of run; training.jobs.registry fills it when the app is ready.
JOBS: dict[str, Job] = {}


def study_of(run: Run) -> Study:
    """The study of a run that needs one."""
    return needed(run.study)


def needed(study: Study | None) -> Study:
    if study is None:
        raise PalateError("--study is needed: the short name of a study")
    return study
