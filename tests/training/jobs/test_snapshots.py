"""What a training run takes of a study."""

import hashlib
import json

import pytest

from annotate.models.judgements import Judgement
from annotate.models.prompts import Split
from annotate.models.studies import Study
from training.models import Snapshot
from training.registry import snapshots

pytestmark = pytest.mark.django_db


def test_a_snapshot_is_the_hash_of_what_it_holds_and_the_same_content_gives_the_same_one(study):
    study = Study.objects.get(slug=study)
    taken = snapshots.take(study)
    held = Judgement.objects.exclude(task__prompt__split=Split.TEST).order_by("id")
    rows = [json.dumps(row, sort_keys=True) for row in held.values_list(*snapshots.HASHED)]
    assert taken.sha256 == hashlib.sha256("".join(rows).encode()).hexdigest()
    assert taken.judgement_ids == [judgement.pk for judgement in held]
    assert snapshots.size(taken) == len(rows) > 0
    assert snapshots.take(study) == taken
    Judgement.objects.filter(pk=held[0].pk).update(live=False)
    later = snapshots.take(study)
    assert snapshots.size(later) == len(rows) - 1
    assert set(Snapshot.objects.all()) == {taken, later}


def test_a_snapshot_leaves_its_ids_in_the_database(study):
    assert "judgement_ids" in snapshots.take(Study.objects.get(slug=study)).get_deferred_fields()
