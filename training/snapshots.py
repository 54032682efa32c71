"""Snapshots: the immutable, hashed selections of judgements that models are trained on."""

import hashlib
import json

from django.db.models import Func

from annotate.errors import PalateError
from annotate.judgements.models import Judgement
from annotate.judgements.queries import JudgementQuerySet
from annotate.prompts.models import Split
from annotate.studies.models import Study
from training.models import Run, Snapshot

HASHED = ("id", "task_id", "rater_id", "shown", "ranks", "scores", "strength", "unacceptable")


def check_trainable(study: Study) -> None:
    """Raises PalateError when the study has no live judgement in its train or its validation split."""
    live = Judgement.objects.counted().of_study(study)
    if not live.exists():
        raise PalateError(f"study {study.slug} has no judgements yet; collect or import some first")
    for split in (Split.TRAIN, Split.VALIDATION):
        if not live.in_split(split).exists():
            raise PalateError(
                f"study {study.slug} has no judgements in its {split} split; judge more prompts, or choose other "
                f"shares for the splits"
            )


def take(study: Study) -> Snapshot:
    """The snapshot of the study's live judgements outside the test split; the same content gives the same one."""
    digest, ids = hashlib.sha256(), []
    training = Judgement.objects.counted().of_study(study).exclude(task__prompt__split=Split.TEST).order_by("id")
    for row in training.values_list(*HASHED).iterator(chunk_size=5000):
        digest.update(json.dumps(row, sort_keys=True).encode())
        ids.append(row[0])
    snapshot, _made = Snapshot.objects.get_or_create(
        study=study, sha256=digest.hexdigest(), defaults={"judgement_ids": ids}
    )
    return snapshot


def of_run(run: Run, study: Study) -> Snapshot:
    """The snapshot that a run of the study learns from. An attempt that follows one whose worker died finds the same
    again: what was judged since would not fit its checkpoint."""
    if told := run.result.get("snapshot"):
        return Snapshot.objects.get(study=study, sha256=told)
    snapshot = take(study)
    run.result = {**run.result, "snapshot": snapshot.sha256}
    run.save(update_fields=["result"])
    return snapshot


def judgements_of(snapshot: Snapshot, split: str) -> JudgementQuerySet:
    # The ids stay in the database: a snapshot may have millions.
    chosen = Snapshot.objects.filter(pk=snapshot.pk).values(chosen=Func("judgement_ids", function="unnest"))
    return Judgement.objects.filter(pk__in=chosen).in_split(split)
