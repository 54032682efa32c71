"""A student learns a teacher's rewards, by the loops that learn from votes."""

import dataclasses

import numpy as np
import pytest

from tests.training.engine.conftest import records
from training.engine.evaluation.comparison import compare, speeds
from training.engine.models.reward import PreferenceModel
from training.engine.preference.distillation import distil
from training.engine.preference.training import PreferenceConfig, train_preference

CONFIG = PreferenceConfig(num_epochs=2, min_steps=40, max_length=64, tokens_per_step=400)


def items(judged):
    return [(record.prompt, text) for record in judged for text in record.responses]


@pytest.fixture(scope="module")
def teacher(encoder_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    config = dataclasses.replace(CONFIG, min_steps=20, learning_rate=2e-3)
    train_preference(records(48), records(8, 48), base_model=str(encoder_folder), output=folder, config=config)
    return PreferenceModel.load(folder)


@pytest.mark.parametrize("kind", ["linear", "cnn"])
def test_a_student_scores_new_texts_as_its_teacher_does(kind, teacher, tmp_path):
    train, held_out = items(records(48)), records(20, 60)
    config = dataclasses.replace(CONFIG, kind=kind)
    metrics = distil(teacher, train, items(records(8, 48)), records(8, 48), output=tmp_path / "student", config=config)
    student = PreferenceModel.load(tmp_path / "student")
    assert metrics["train_texts"] == 96
    assert metrics["validation_loss"] < 0.05, "a constant has 0.5"
    assert student.temperature == metrics["temperature"]
    learned = np.array(student.score(train))
    assert (learned.mean(), learned.std()) == pytest.approx((0, 1), abs=0.15), "in spreads of the teacher's rewards"

    context = compare(student, teacher, held_out, items(held_out), [str(n // 2) for n in range(40)])
    assert (context["pairs"], context["responses"]) == (20, 40)
    assert context["model"]["accuracy"]["value"] == context["reference"]["accuracy"]["value"] == 1
    assert context["accuracy_difference"] == {"value": 0, "low": 0, "high": 0}
    assert context["pearson"]["low"] > 0.9
    assert context["pearson"]["value"] == pytest.approx(
        np.corrcoef(*(model.score(items(held_out)) for model in (student, teacher)))[0, 1]
    )


def test_without_anything_held_out_there_are_no_figures_but_a_speed(teacher):
    context = compare(teacher, teacher, [], [], [])
    assert context["model"] == {"accuracy": None, "log_loss": None}
    assert (context["accuracy_difference"], context["pearson"], context["spearman"]) == (None, None, None)
    measured = speeds(teacher, teacher, items(records(8)) * 2)
    assert measured["texts"] == 16
    assert measured["ratio"] == pytest.approx(measured["model"] / measured["reference"])


@pytest.mark.parametrize(
    ("kind", "train", "message"),
    [
        ("encoder", items(records(4)), "a student is linear, cnn, rnn, not 'encoder'"),
        ("linear", [], "needs texts of the train"),
        ("linear", items(records(1))[:1], "gives all 2 texts the same reward"),
    ],
)
def test_what_cannot_be_distilled_is_refused(kind, train, message, teacher, tmp_path):
    config = dataclasses.replace(CONFIG, kind=kind)
    with pytest.raises(ValueError, match=message):
        distil(teacher, train, items(records(1))[:1], records(8, 48), output=tmp_path / "student", config=config)
    assert not (tmp_path / "student").exists()
