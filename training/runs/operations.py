"""Create, queue and cancel runs."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import translation

from annotate.audit.operations import Actor, record
from annotate.models.accounts import User
from annotate.models.audit import Action
from annotate.models.studies import Study
from core.errors import PalateError
from training.models import Run, RunKind, RunState
from training.runs.execution import end_run
from training.runs.job import JOBS
from training.runs.options import parse, refuse_commands_only
from training.runs.queue import send_run
from training.runs.reporting import has_checkpoint

IMPORTS = dict.fromkeys((kind for kind in RunKind.values if kind.startswith("import_")), Action.IMPORTED)


def create_run(
    *,
    kind: str,
    study: Study | None,
    values: Mapping[str, Any],
    created_by: User | None = None,
    in_worker: bool = False,
) -> Run:
    """Check the options of a job and create the run. Raises PalateError before anything is written or loaded."""
    job = JOBS[kind]
    options: Any = parse(job.options, values)
    job.check(study, options)
    run = Run.objects.create(
        kind=kind, study=study, config=dict(values), created_by=created_by, in_worker=in_worker,
        language=translation.get_language() or "",
    )  # fmt: skip
    if study is not None:
        action = IMPORTS.get(kind, Action.TRAINED)
        record(study=study, user=created_by, action=action, subject=str(run), kind=kind)
    return run


def _begun(kind: str, study: Study | None, values: Mapping[str, Any]) -> Run | None:
    """Return the unfinished run of the same command that has a checkpoint."""
    same = Run.objects.filter(kind=kind, study=study, config=dict(values), in_worker=False)
    return next(filter(has_checkpoint, same.filter(state__in=[RunState.QUEUED, RunState.RUNNING])), None)


def resumable_run(*, kind: str, study: Study | None, values: Mapping[str, Any]) -> Run | None:
    """Return the run of the same command that was killed after a checkpoint, if there is one, queued to be resumed.

    Raises PalateError when its heartbeat is recent: it may be alive.
    """
    run = _begun(kind, study, values)
    if run is None:
        return None
    if not Run.objects.stale().filter(pk=run.pk).update(state=RunState.QUEUED):
        raise PalateError(
            f"{run} has the same options and a recent heartbeat; if it was killed, this command resumes from its "
            f"checkpoint once its last heartbeat is {settings.RUN_LOST_AFTER_SECONDS} s old"
        )
    run.refresh_from_db()
    return run


def queue_run(**kwargs: Any) -> Run:
    """Create a run for pages and the API: send it to a worker once the transaction is committed, and reject options
    that only a command on this machine may set."""
    refuse_commands_only(JOBS[kwargs["kind"]].options, kwargs["values"])
    with transaction.atomic():
        run = create_run(**kwargs, in_worker=True)
        transaction.on_commit(partial(send_run, run))
    return run


def assist_run(*, kind: str, study: Study | None, values: Mapping[str, Any]) -> None:
    """Do the share of a run of a launcher's other processes; the main process has the Run."""
    job = JOBS[kind]
    if job.assist is None:
        raise PalateError(f"{kind} runs in one process; start it without a launcher")
    job.assist(study, parse(job.options, values), _begun(kind, study, values))


@transaction.atomic
def cancel_run(*, run: Run, by: Actor = None) -> None:
    """Cancel a run: a queued run, or one of a killed command, ends at once, a running one at its next step."""
    locked = Run.objects.select_for_update(of=("self",)).select_related("study").get(pk=run.pk)
    if not locked.ended:
        record(study=locked.study, user=by, action=Action.CHANGED, subject=f"{locked} cancelled")
    if locked.state == RunState.QUEUED or Run.objects.stale_cli().filter(pk=run.pk).exists():
        end_run(locked, RunState.CANCELLED)
    elif locked.state == RunState.RUNNING:
        Run.objects.filter(pk=run.pk).update(cancel_requested=True)
