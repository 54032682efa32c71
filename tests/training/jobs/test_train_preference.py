"""The command over a study in the database."""

import json

import pytest
from django.core.management import CommandError, call_command

from training.models import ModelVersion, Run

pytestmark = pytest.mark.django_db


def train(study, **options):
    call_command("train_preference", study=study, **options)
    return ModelVersion.objects.latest("pk")


def test_the_folder_tells_what_it_was_made_from_and_the_same_again_gives_the_same(study, tmp_path):
    options = {"kind": "linear", "ensemble": 2, "reliability": True, "seed": 3, "track": "tensorboard"}
    first, second = (train(study, output=str(tmp_path / name), **options) for name in "ab")
    told = json.loads((tmp_path / "a" / "training.json").read_text())
    assert told["snapshot"] == first.snapshot.sha256
    assert told["config"]["seed"] == 3
    assert {"torch", "transformers", "python"} <= set(told["versions"])
    assert "revision" in told
    assert told["members"] == 2
    assert told["evaluation"]["accuracy"] == 1
    assert first.metrics == second.metrics
    assert list((tmp_path / "runs" / str(first.run_id) / "tracked").glob("events*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--base-model is needed for --kind auto"),
        ({"kind": "cnn", "base_model": "x"}, "--base-model: a model of kind cnn starts from nothing"),
        ({"kind": "linear", "criteria": "grace=1"}, "--criteria: no criterion 'grace'; the study has helpful"),
        ({"kind": "linear", "criteria": "helpful"}, "--criteria helpful: expected helpful=NUMBER"),
        ({"kind": "linear", "criteria": "helpful=-1"}, "a weight is 0 or more"),
        ({"kind": "linear", "track": "trackio"}, "--track trackio: the package is not installed"),
        ({"kind": "linear", "ties": "coin"}, "--ties must be one of davidson, rao-kupper, half"),
        ({"kind": "linear", "smoothing": "0.9"}, "--smoothing must be at most 0.5"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(study, options, message):
    with pytest.raises(CommandError) as error:
        train(study, **options)
    assert message in str(error.value)
    assert not Run.objects.exists()
