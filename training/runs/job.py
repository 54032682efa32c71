from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from annotate.models.studies import Study
from core.errors import PalateError
from training.engine.runtime.progress import Reporter
from training.models import Run
from training.runs.options import StrOrPromise


@dataclass(frozen=True)
class Job:
    """One kind of run.

    options: a dataclass of training.runs.options.option fields.
    check: raises PalateError when the study or the options cannot work; loads no model and writes nothing.
    perform: does the work and returns the run's result as JSON values.
    assist: the work of the other processes of a launcher, for a job that several processes can share; they write
        nothing. It receives the run that is resumed from its checkpoint, if there is one.
    """

    options: type
    check: Callable[[Study | None, Any], None]
    perform: Callable[[Run, Any, Reporter], Mapping[str, Any]]
    summary: StrOrPromise
    assist: Callable[[Study | None, Any, Run | None], None] | None = None


# The jobs by kind of run; training.jobs.registry fills this when the app is ready.
JOBS: dict[str, Job] = {}


def study_of(run: Run) -> Study:
    """Return the study of a run that needs one."""
    return needed(run.study)


def needed(study: Study | None) -> Study:
    if study is None:
        raise PalateError("--study is needed: the short name of a study")
    return study
