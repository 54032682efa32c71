"""Snapshots: the immutable, hashed selections of judgements that models are trained on."""

import hashlib
import json
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import Func, IntegerField, QuerySet
from django.utils.translation import gettext as _

from annotate.models.judgement_queries import JudgementQuerySet
from annotate.models.judgements import Judgement
from annotate.models.prompts import Split
from annotate.models.studies import Study
from core.errors import PalateError
from training.models import Run, Snapshot

HASHED = ("id", "task_id", "rater_id", "shown", "ranks", "scores", "strength", "unacceptable", "order_known")


def check_trainable(study: Study) -> None:
    """Raises PalateError when the study has no live judgement in its train or its validation split."""
    live = Judgement.objects.counted().of_study(study)
    if not live.exists():
        raise PalateError(
            _("study %(study)s has no judgements yet; collect or import some first") % {"study": study.slug}
        )
    for split in (Split.TRAIN, Split.VALIDATION):
        if not live.in_split(split).exists():
            message = _(
                "study %(study)s has no judgements in its %(split)s split; judge more prompts, or choose other "
                "shares for the splits"
            )
            raise PalateError(message % {"study": study.slug, "split": split.label})


@transaction.atomic
def take(study: Study) -> Snapshot:
    """The snapshot of the study's live judgements outside the test split; the same content gives the same one.

    The ids never leave the database, and the judgements pass through here as a stream: a study may have millions.
    """
    # One after another: two that take the same content at once get the same snapshot.
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    training = Judgement.objects.counted().of_study(study).exclude(task__prompt__split=Split.TEST)
    new = Snapshot.objects.create(study=study, sha256="", judgement_ids=[])
    ids = ArraySubquery(training.order_by("id").values("id"))
    Snapshot.objects.filter(pk=new.pk).update(judgement_ids=ids)
    sha256 = _digest(Judgement.objects.filter(pk__in=_ids(new)))
    known = Snapshot.objects.filter(study=study, sha256=sha256).defer("judgement_ids").first()
    if known:
        new.delete()
        return known
    Snapshot.objects.filter(pk=new.pk).update(sha256=sha256)
    return Snapshot.objects.defer("judgement_ids").get(pk=new.pk)


def size(snapshot: Snapshot) -> int:
    """How many judgements it holds."""
    count = Func("judgement_ids", function="cardinality", output_field=IntegerField())
    return Snapshot.objects.filter(pk=snapshot.pk).values_list(count, flat=True).get()


def of_run(run: Run, study: Study) -> Snapshot:
    """The snapshot that a run of the study learns from. An attempt that follows one whose worker died finds the same
    again: what was judged since would not fit its checkpoint."""
    snapshot = of_begun(run, study)
    run.result = {**run.result, "snapshot": snapshot.sha256}
    run.save(update_fields=["result"])
    return snapshot


def of_begun(run: Run | None, study: Study) -> Snapshot:
    """The snapshot that the run has told it learns from, or else one that is taken now; writes nothing to the run."""
    sha256 = run.result.get("snapshot") if run else None
    return Snapshot.objects.get(study=study, sha256=sha256) if sha256 else take(study)


def judgements_of(snapshot: Snapshot, split: str) -> JudgementQuerySet:
    return Judgement.objects.filter(pk__in=_ids(snapshot)).in_split(split)


def _ids(snapshot: Snapshot) -> QuerySet[Snapshot, Any]:
    return Snapshot.objects.filter(pk=snapshot.pk).values(chosen=Func("judgement_ids", function="unnest"))


def _digest(judgements: JudgementQuerySet) -> str:
    digest = hashlib.sha256()
    for row in judgements.order_by("id").values_list(*HASHED).iterator(chunk_size=5000):
        digest.update(json.dumps(row, sort_keys=True).encode())
    return digest.hexdigest()
