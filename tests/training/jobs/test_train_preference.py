"""The command over a study in the database."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from django.core.management import CommandError, call_command
from huggingface_hub import ModelCard

from tests.factories import StudyFactory
from training.models import ModelKind, ModelVersion, Run

pytestmark = pytest.mark.django_db


def train(study, **options):
    call_command("train_preference", study=study, **options)
    return ModelVersion.objects.latest("pk")


@pytest.mark.slow
def test_the_folder_tells_what_it_was_made_from_and_the_same_again_gives_the_same(study, tmp_path):
    options = {"kind": "cnn", "ensemble": 2, "reliability": True, "seed": 3, "report_to": "tensorboard"}
    options |= {"num_epochs": 1, "min_steps": 25, "max_length": 32, "explain": 0}
    first, second = (train(study, output=str(tmp_path / name), **options) for name in "ab")
    result = json.loads((tmp_path / "a" / "training.json").read_text())
    assert result["snapshot"] == first.snapshot.sha256
    assert result["config"]["seed"] == 3
    assert {"torch", "transformers", "python"} <= set(result["versions"])
    assert "revision" in result
    assert result["members"] == 2
    assert result["evaluation"]["accuracy"] == 1
    assert first.metrics == second.metrics
    card = ModelCard.load(tmp_path / "a" / "README.md")
    assert card.text.strip() == first.card.strip()
    assert (card.data.library_name, card.data.pipeline_tag) == ("palate", "text-classification")
    assert (card.data.license, card.data.base_model) == ("other", None)
    assert card.data.to_dict()["palate"]["snapshot"] == f"sha256:{first.snapshot.sha256}"
    assert {r.metric_type: r.metric_value for r in card.data.eval_results}["accuracy"] == 1
    assert list((tmp_path / "runs" / str(first.run_id) / "tracked").glob("events*"))


@pytest.mark.slow
def test_what_it_was_made_from_is_no_model_of_another_study(study, encoder_folder):
    foreign = {"study": StudyFactory(), "kind": ModelKind.POLICY, "path": str(encoder_folder)}
    ModelVersion.objects.create(name="theirs", **foreign)
    made = train(study, base_model=str(encoder_folder), explain=0, min_steps=1, num_epochs=1)
    assert (made.parent, made.base) == (None, encoder_folder.name)
    ours = ModelVersion.objects.create(name="ours", **{**foreign, "study": made.study})
    assert train(study, base_model="ours", explain=0, min_steps=1, num_epochs=1).parent == ours


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--base-model is needed for --kind auto"),
        ({"kind": "cnn", "base_model": "x"}, "--base-model: a model of kind cnn starts from nothing"),
        ({"kind": "linear", "criteria": "grace=1"}, "--criteria grace=1: no such criterion; the study has helpful"),
        ({"kind": "linear", "criteria": "helpful"}, "--criteria helpful: expected helpful=NUMBER"),
        ({"kind": "linear", "criteria": "helpful=-1"}, "a weight is 0 or more"),
        ({"kind": "linear", "report_to": "trackio"}, "--report-to trackio: the package is not installed"),
        ({"kind": "linear", "ties": "coin"}, "--ties must be one of davidson, half"),
        ({"kind": "linear", "label_smoothing": "0.9"}, "--label-smoothing must be at most 0.5"),
        ({"kind": "linear", "engine": "trainer"}, "--engine trainer trains encoders and causal models"),
        ({"base_model": "x", "load_in_4bit": True}, "--load-in-4bit: a base of 4 bits learns nothing itself"),
        ({"kind": "cnn", "load_in_4bit": True, "lora_r": 4}, "--load-in-4bit goes with --engine palate"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(study, options, message):
    with pytest.raises(CommandError) as error:
        train(study, **options)
    assert message in str(error.value)
    assert not Run.objects.exists()


def test_asking_for_a_tracker_imports_nothing_heavy():
    code = "import sys, django; django.setup(); from training.runs import tracking; tracking.check('tensorboard'); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed here")
def test_a_base_of_4_bits_needs_bitsandbytes(study):
    with pytest.raises(CommandError, match="the package bitsandbytes is not installed; pip install bitsandbytes"):
        train(study, base_model="x", load_in_4bit=True, lora_r=4)
    assert not Run.objects.exists()


class TestRatings:
    """The article's preferences.csv: texts with a number each, and no study."""

    def write(self, path, rows):
        path.write_text("text,rating\n" + "".join(f'"{text}",{rating}\n' for text, rating in rows))
        return path

    def test_a_file_of_ratings_is_learned_as_it_stands(self, tmp_path, settings):
        settings.MODELS_DIR, settings.RUNS_DIR = tmp_path / "models", tmp_path / "runs"
        liked = [(f"We will refund you for lamp {n}.", 0.9) for n in range(60)]
        rows = [row for n, good in enumerate(liked) for row in (good, (f"Lamp {n} is not our problem.", 0.2))]
        file = self.write(tmp_path / "Preferences 1.csv", rows)
        call_command("train_preference", ratings=file, kind="linear")
        version = ModelVersion.objects.latest("pk")
        study = version.study
        assert (study.slug, study.method, study.prompts.count()) == ("preferences-1", "score", 15)
        assert [(c.key, c.minimum, c.maximum) for c in study.criteria.all()] == [("rating", 0, 1)]
        assert version.metrics["outputs"] == ["rating"]
        assert version.metrics["evaluation"]["accuracy"] == 1
        # The same file again adds nothing, and trains on the same snapshot.
        call_command("train_preference", ratings=file, kind="linear")
        assert ModelVersion.objects.latest("pk").snapshot == version.snapshot

    @pytest.mark.parametrize(
        ("rating", "message"),
        # A cell nan in a column of numbers is a value that is missing.
        [("good", "'good' is not a number"), ("", "is missing"), ("nan", "is missing"), ("inf", "not a finite number")],
    )
    def test_what_is_no_rating_names_line_and_field(self, tmp_path, rating, message):
        file = self.write(tmp_path / "ratings.csv", [("Fine.", 0.5), ("Bad.", rating)])
        with pytest.raises(CommandError, match=f"line 3, field rating: .*{message}"):
            call_command("train_preference", ratings=file, kind="linear")
        assert not Run.objects.exists()

    def test_neither_study_nor_ratings(self):
        with pytest.raises(CommandError, match=r"--study is needed: .* or --ratings"):
            call_command("train_preference", kind="linear")


def test_an_import_without_an_order_shown_has_no_slot_baseline_and_no_position_effect(study, tmp_path):
    """Whoever wrote `chosen` and `rejected` did not say which of them raters saw first."""
    pairs = [{"prompt": f"Lamp {n}?", "chosen": "We refund.", "rejected": "" if n % 2 else "No."} for n in range(30)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    call_command("import_preferences", "pairs", str(tmp_path / "pairs.jsonl"))
    with pytest.raises(CommandError, match="--position: the study has no comparison whose order shown is known"):
        train("pairs", kind="linear", position=True)
    made = train("pairs", kind="linear", explain=0)
    assert made.metrics["evaluation"]["baselines"]["majority"] is None
    assert "slot" not in made.card
    known = train(study, kind="linear", position=True, explain=0)
    assert known.metrics["evaluation"]["baselines"]["majority"] is not None
    assert "the slot that wins more often" in known.card
