"""Delete a study: its rows, models, uploads, and the logs and checkpoints of its runs."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from annotate.audit.operations import Actor, record
from annotate.models.audit import Action
from annotate.models.judgements import Judgement
from annotate.models.studies import Study
from annotate.studies.operations import erase_study
from core.errors import PalateError
from training.models import Run, RunState
from training.runs.reporting import run_folder


def contents(study: Study) -> dict[str, int]:
    """Return the number of rows to be deleted, by kind."""
    return {
        "prompts": study.prompts.count(),
        "tasks": study.tasks.count(),
        "judgements": Judgement.objects.filter(task__study=study).count(),
        "members": study.memberships.count(),
        "runs": study.runs.count(),
        "models": study.model_versions.count(),
    }


def delete_study(*, study: Study, confirmation: str, actor: Actor) -> None:
    """Delete a study permanently; `confirmation` is its short name, typed by a person.

    Model folders outside `MODELS_DIR` remain. Raises PalateError for a wrong confirmation, while a run is active, or
    when another study's model was made from one of this study.
    """
    if confirmation.strip() != study.slug:
        raise PalateError(_("Type the short name of the study, %(slug)s, to delete it.") % {"slug": study.slug})
    counts = contents(study)
    try:
        with transaction.atomic():
            folders = [run_folder(run) for run in _stopped_runs(study)]
            folders += [Path(settings.MODELS_DIR) / study.slug]
            folders += (Path(settings.VAR_DIR) / "uploads").glob(f"{study.pk}-*")
            subject = f"study {study.slug}"
            erase_study(study=study)
            record(study=None, user=actor, action=Action.REMOVED, subject=subject, **counts)
            transaction.on_commit(partial(_delete_folders, folders))
    except ProtectedError as error:
        others = ", ".join(sorted({str(row) for row in error.protected_objects})[:3])
        raise PalateError(_("Other studies use models of this one: %(names)s.") % {"names": others}) from error


def _stopped_runs(study: Study) -> Sequence[Run]:
    """Lock and return the study's runs. Raises PalateError when one of them is running."""
    runs = list(study.runs.select_for_update())
    if at_work := next((run for run in runs if run.state == RunState.RUNNING), None):
        raise PalateError(_("%(run)s is at work. Cancel it first.") % {"run": at_work})
    return runs


def _delete_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
