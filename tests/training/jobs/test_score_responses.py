"""A preference model scores a study's responses, and pages and the API show its calibrated chances."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotate.api.tokens import make_token
from annotate.models.api import Scope
from annotate.models.prompts import Response
from annotate.models.studies import Study
from tests.factories import MembershipFactory, ResponseFactory, TaskFactory
from tests.training.engine.conftest import records
from training.models import ModelKind, ModelVersion, ResponseReward, Run
from training.registry import model_versions

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def linear_folder(tmp_path_factory):
    """A linear model of two members that likes refunds."""
    from training.engine.preference.training import PreferenceConfig, train_preference

    folder = tmp_path_factory.mktemp("linear")
    config = PreferenceConfig(kind="linear", ensemble=2)
    train_preference(records(24), records(8, 24), base_model="", output=folder, config=config)
    return folder


@pytest.fixture
def version(study, linear_folder):
    """That model as one of the study of lamps."""
    study = Study.objects.get(slug=study)
    return model_versions.register(study=study, kind=ModelKind.PREFERENCE, path=str(linear_folder))


@pytest.fixture
def scored(version):
    """The study, and the model that has scored its responses."""
    call_command("score_responses", study=version.study.slug, model=version.path)
    return version.study, version


def test_every_response_is_scored_once_and_the_liked_one_higher(scored):
    study, version = scored
    rows = ResponseReward.objects.filter(version=version)
    assert rows.count() == Response.objects.filter(prompt__study=study).count() == 60
    prompt = study.prompts.first()
    best, worst = rows.filter(response__prompt=prompt).order_by("-reward")
    assert (best.response.author_name, worst.response.author_name) == ("a", "b")
    assert best.quality > 0.5 > worst.quality
    assert best.chance_over(worst) == pytest.approx(1 - worst.chance_over(best))
    assert best.chance_over(worst) > best.quality
    assert best.spread is not None

    new = ResponseFactory(prompt=prompt, text="We will refund you.")
    call_command("score_responses", study=study.slug, model=str(version.pk))
    assert rows.count() == 61
    assert rows.get(response=new).reward > worst.reward


def test_the_model_and_the_saved_numbers_say_the_same(scored):
    from training.engine.models.reward import PreferenceModel

    study, version = scored
    model = PreferenceModel.load(version.path)
    a, b = version.response_rewards.filter(response__prompt=study.prompts.first()).select_related("response__prompt")
    rewards = model.score([(row.response.prompt.text, row.response.text) for row in (a, b)])
    assert [a.reward, b.reward] == pytest.approx(rewards, abs=1e-5)
    assert [a.quality, b.quality] == pytest.approx(model.quality(rewards), abs=1e-5)
    assert a.chance_over(b) == pytest.approx(model.probability(*rewards), abs=1e-5)


def test_the_api_tells_rewards_and_the_chance_of_a_pair(scored, client):
    study, version = scored
    owner = MembershipFactory(study=study, role="owner").user
    headers = {"Authorization": f"Bearer {make_token(user=owner, name='t', scopes=[Scope.READ])[1]}"}
    a, b = version.response_rewards.filter(response__prompt=study.prompts.first()).order_by("response__author_name")
    rows = client.get(reverse("api-rewards", args=[study.slug, version.pk]), headers=headers).json()["results"]
    assert len(rows) == 60
    assert rows[0].keys() == {"response", "response_id", "prompt_id", "reward", "spread", "quality"}

    def ask(one, other, slug=study.slug):
        return client.get(reverse("api-preference", args=[slug, version.pk, one, other]), headers=headers)

    assert ask(a.response_id, b.response_id).json()["probability"] == pytest.approx(a.chance_over(b))
    elsewhere = version.response_rewards.exclude(response__prompt=study.prompts.first()).first()
    assert "different prompts" in ask(a.response_id, elsewhere.response_id).json()["detail"]
    unscored = ResponseFactory(prompt=study.prompts.first())
    assert ask(a.response_id, unscored.pk).status_code == 404
    # A stranger's study has none of it.
    stranger = MembershipFactory(role="owner")
    theirs = {"Authorization": f"Bearer {make_token(user=stranger.user, name='t', scopes=[Scope.READ])[1]}"}
    assert client.get(reverse("api-rewards", args=[study.slug, version.pk]), headers=theirs).status_code == 404
    assert client.get(reverse("api-rewards", args=[stranger.study.slug, version.pk]), headers=theirs).status_code == 404


def test_the_page_shows_the_best_first_twenty_prompts_at_a_time(scored, client):
    study, version = scored
    client.force_login(MembershipFactory(study=study, role="owner").user)
    address = reverse("model-rewards", args=[study.slug, version.pk])
    page = client.get(address).content.decode()
    assert page.count("<ol") == 20
    assert page.index("We will refund you today.") < page.index("That is not our problem.")
    assert "Page 1 of 2" in page
    assert address in client.get(reverse("model", args=[study.slug, version.pk])).content.decode()


def test_a_model_that_scored_nothing_says_what_to_do(version, client):
    client.force_login(MembershipFactory(study=version.study, role="owner").user)
    page = client.get(reverse("model-rewards", args=[version.study.slug, version.pk])).content.decode()
    assert "Nothing scored yet" in page


def test_bad_input_names_the_flag(study, linear_folder):
    task = TaskFactory()
    with pytest.raises(CommandError, match="--model nowhere"):
        call_command("score_responses", study=study, model="nowhere")
    with pytest.raises(CommandError, match="no responses in the split test"):
        call_command("score_responses", study=task.study.slug, model=str(linear_folder), split="test")


def test_int8_stands_compare_with_float32_and_small_models_refuse_it(study, encoder_folder, linear_folder):
    call_command("train_preference", study=study, base_model=str(encoder_folder), num_epochs=1, min_steps=10, explain=0)
    version = ModelVersion.objects.latest("pk")
    call_command("score_responses", study=study, model=version.path, precision="int8")
    assert ResponseReward.objects.filter(version=version).count() == 60
    call_command("evaluate_preference", version.path, study=study, precision="int8")
    context = Run.objects.latest("pk").result["float32"]
    assert context["pearson"]["value"] > 0.9
    assert context["speed"]["texts"] == context["responses"]

    with pytest.raises(CommandError, match=r"--precision int8: .* is a small model"):
        call_command("evaluate_preference", str(linear_folder), study=study, precision="int8")
