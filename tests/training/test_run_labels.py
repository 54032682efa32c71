from dataclasses import fields

import pytest
from django.utils import translation
from django.utils.functional import Promise

from tests.factories import StudyFactory
from training.engine.runtime.stopping import STOPS, format_reason, make_reason
from training.models import ModelKind, ModelVersion, Run, RunKind
from training.runs.job import JOBS
from training.runs.run_errors import MESSAGES
from training.runs.stop_reasons import stop_sentence
from training.web import run_labels

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    study = StudyFactory()
    ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name="writer", path="/models/writer")
    ModelVersion.objects.create(study=None, kind=ModelKind.PREFERENCE, name="judge", path="/models/judge")
    return Run.objects.create(study=study, kind=RunKind.RL_FINETUNE)


def test_options_are_named_as_on_the_form_and_models_by_their_name(run):
    run.config = {"policy": "/models/writer", "reward": "/models/judge", "max_steps": 3, "max_kl": 8.0, "lora_r": 4}
    run.save()
    run.refresh_from_db()
    assert run_labels.options(run) == [
        ("Policy", "writer"), ("Reward model", "judge"), ("Number of steps", 3), ("Maximum KL", 8.0), ("LoRA rank", 4),
    ]  # fmt: skip


def test_what_was_left_at_its_default_is_told_apart(run):
    run.config = {"policy": "/models/writer", "max_steps": 60, "beta": 0.05, "max_kl": 8.0}
    assert run_labels.options(run) == [("Policy", "writer"), ("Maximum KL", 8.0)]
    assert run_labels.untouched(run) == [("Number of steps", 60), ("KL coefficient (beta)", 0.05)]


def test_the_accuracy_of_a_model_that_was_trained_comes_first_beside_its_baselines(run):
    baselines = {"longer": 0.6, "majority": 0.5, "rater_vs_others": None}
    figures = {"accuracy": 0.9, "accuracy_clear": None, "baselines": baselines}
    figures |= {"log_loss": 0.4, "ece": 0.02, "kendall_tau": 0.7}
    intervals = dict.fromkeys(figures) | {"accuracy": [0.8, 1.0], "baselines": dict.fromkeys(baselines)}
    run.result = {"steps": 3, "evaluation": figures | {"intervals": intervals}}
    assert run_labels.results(run) == [
        ("Accuracy", "0.900 [0.800, 1.000]"), ("Baseline: longer wins", "0.600"),
        ("Baseline: the slot that wins more often", "0.500"), ("Log loss", "0.400"), ("Calibration error", "0.020"),
        ("Kendall's τ", "0.700"), ("Steps", 3),
    ]  # fmt: skip
    run.result["steps"] = 0  # of a linear model, which is solved for
    assert "Steps" not in dict(run_labels.results(run))


def test_each_of_several_models_has_its_name(run):
    judge = ModelVersion.objects.get(name="judge")
    run.config = {"more_rewards": f"{judge.pk},/models/unknown"}
    assert run_labels.options(run) == [("Additional reward models", "judge, /models/unknown")]


@pytest.mark.parametrize("kind", JOBS)
def test_every_option_that_names_a_model_is_told_by_its_name(kind):
    named = {field.name for field in fields(JOBS[kind].options) if field.metadata["of_model"]}
    assert named <= run_labels.MODELS | run_labels.SEVERAL_MODELS


def test_a_model_of_another_study_stays_a_folder(run):
    ModelVersion.objects.create(study=StudyFactory(), kind=ModelKind.POLICY, name="secret", path="/models/theirs")
    run.config = {"policy": "/models/theirs"}
    assert run_labels.options(run) == [("Policy", "/models/theirs")]


def test_results_are_words_and_numbers_that_can_be_read(run):
    run.result = {"round": 2, "against": ModelVersion.objects.get(name="writer").pk, "temperature": 1.42905267}
    assert run_labels.results(run) == [
        ("Round", 2),
        ("Against", "writer"),
        ("Temperature of the calibration", "1.429"),
    ]


def test_choices_and_models_are_words_and_a_model_named_as_a_choice_keeps_its_name(run):
    judge = ModelVersion.objects.create(
        study=run.study, kind=ModelKind.PREFERENCE, name="causal", path="/models/causal"
    )
    run.kind, run.config = RunKind.EVALUATE, {"model": str(judge.pk), "split": "all", "precision": "int8"}
    run.result = {"model": "/models/causal", "accuracy": 0.6, "intervals": {"accuracy": [0.5, 0.7]}}
    run.result["float32"] = {
        "reference": {"accuracy": {"value": 0.62, "low": 0.51, "high": 0.73}},
        "accuracy_difference": {"value": -0.02, "low": -0.07, "high": 0.02},
        "pearson": None,
        "speed": {"ratio": 1.302},
    }
    with translation.override("zh-hans"):
        assert run_labels.options(run) == [("模型", "causal"), ("划分", "全部 (all)"), ("数值精度", "int8")]
        assert run_labels.results(run) == [
            ("模型", "causal"),
            ("准确率", "0.6 [0.500, 0.700]"),
            ("float32 下的准确率", "0.62 [0.510, 0.730]"),
            ("准确率与 float32 之差", "-0.02 [-0.070, 0.020]"),
            ("速度为 float32 的倍数", "1.302"),
        ]


def test_the_model_that_a_run_made_is_not_told_twice(run):
    run.result = {"model": "/models/new", "model_version": 7, "best_step": 60}
    ModelVersion.objects.create(study=run.study, kind=ModelKind.POLICY, name="new", path="/models/new", run=run)
    assert run_labels.results(run) == [("Best step", 60)]


@pytest.mark.parametrize(
    ("name", "words"),
    [("kl", "KL to the start, nats"), ("reward_chrf", "Reward: chrf"), ("held_out_reward", "Reward, held-out prompts")],
)
def test_measures_have_words(name, words):
    assert run_labels.measure(name) == words


def test_every_option_has_a_translatable_label():
    labels = [field.metadata["label"] for job in JOBS.values() for field in fields(job.options)]
    assert all(isinstance(label, Promise) and str(label) for label in labels)


def test_why_a_run_stopped_is_said_in_the_language_of_the_page(run):
    run.result = {
        "stopped": "KL 9.10 exceeds the limit of 9 nats",
        "stop_reason": make_reason("max_kl", value=9.1, limit=9),
    }
    assert stop_sentence(run.result) == run.result["stopped"]
    with translation.override("zh-hans"):
        assert stop_sentence(run.result) == "KL 9.10 超过了 9 奈特的上限"
        assert ("提前停止", "KL 9.10 超过了 9 奈特的上限") in run_labels.results(run)
        assert stop_sentence({"stopped": "as older versions said it"}) == "as older versions said it"


@pytest.mark.parametrize("reason", STOPS)
def test_each_reason_to_stop_is_translated(reason):
    why = make_reason(reason, value=0.5, limit=1, evaluations=4, step=7, prompts="'x'", restored=5)
    with translation.override("zh-hans"):
        output = stop_sentence({"stop_reason": why})
    assert output != format_reason(why)
    assert "%" not in output


def test_the_members_of_an_ensemble_say_the_same_reason_once(run):
    run.kind, why = RunKind.TRAIN_PREFERENCE, make_reason("early_stopping", evaluations=4)
    run.result = {"stopped": [format_reason(why), format_reason(why)], "stop_reason": [why, why]}
    assert run_labels.results(run) == [("Stopped early", "early stopping: no improvement in 4 evaluations")]


def test_a_known_trouble_is_told_in_the_language_of_the_page_and_its_traceback_stays(run):
    run.error = f"{MESSAGES['disk']}\n\nTraceback: --name x"
    with translation.override("zh-hans"):
        output = run_labels.error(run)
    assert output.startswith("磁盘已满")
    assert output.endswith("\n\nTraceback: --name x")


def test_a_refusal_names_fields_and_no_error_says_nothing(run):
    assert run_labels.error(run) == ""
    run.error = "--max-kl must be at least 0"
    assert run_labels.error(run) == "“Maximum KL” must be at least 0"
