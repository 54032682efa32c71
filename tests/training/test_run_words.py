import pytest

from tests.factories import StudyFactory
from training import run_words
from training.models import ModelKind, ModelVersion, Run, RunKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    study = StudyFactory()
    ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name="writer", path="/models/writer")
    ModelVersion.objects.create(study=None, kind=ModelKind.PREFERENCE, name="judge", path="/models/judge")
    return Run.objects.create(study=study, kind=RunKind.RL_FINETUNE)


def test_options_are_named_as_on_the_form_and_models_by_their_name(run):
    run.config = {"policy": "/models/writer", "reward": "/models/judge", "kl_budget": 8.0, "lora_rank": 4}
    assert run_words.options(run) == [("Policy", "writer"), ("Reward", "judge"), ("KL budget", 8.0), ("LoRA rank", 4)]


def test_a_model_of_another_study_stays_a_folder(run):
    ModelVersion.objects.create(study=StudyFactory(), kind=ModelKind.POLICY, name="secret", path="/models/theirs")
    run.config = {"policy": "/models/theirs"}
    assert run_words.options(run) == [("Policy", "/models/theirs")]


def test_results_are_words_and_numbers_that_can_be_read(run):
    run.result = {"round": 2, "against": ModelVersion.objects.get(name="writer").pk, "temperature": 1.42905267}
    assert run_words.results(run) == [
        ("Round", 2),
        ("Against", "writer"),
        ("Temperature of the calibration", "1.429"),
    ]


def test_the_model_that_a_run_made_is_not_told_twice(run):
    run.result = {"model": "/models/new", "model_version": 7, "kept_step": 60}
    ModelVersion.objects.create(study=run.study, kind=ModelKind.POLICY, name="new", path="/models/new", run=run)
    assert run_words.results(run) == [("Step kept", 60)]


@pytest.mark.parametrize(
    ("name", "words"),
    [("kl", "KL to the start, nats"), ("reward_chrf", "Reward: chrf"), ("held_out_reward", "Reward, held-out prompts")],
)
def test_measures_have_words(name, words):
    assert run_words.measure(name) == words
