"""Deleting a study: every row and file of it goes, nothing of another study does, and nobody does it by mistake."""

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse

from annotate.collection.flags import flag
from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, correct, submit
from annotate.collection.leases import lease_next
from annotate.members.operations import invite
from annotate.models.accounts import User
from annotate.models.audit import Entry
from annotate.models.machine_judges import MachineVerdict
from annotate.models.studies import Study
from annotate.studies.consent import publish_consent
from annotate.studies.instructions import publish
from annotate.webhooks.operations import announce
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory
from training.models import ModelKind, ModelVersion, ResponseReward, Round, Run, RunKind, RunState
from training.runs.reporting import run_folder

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.VAR_DIR, settings.MODELS_DIR, settings.RUNS_DIR = tmp_path, tmp_path / "models", tmp_path / "runs"


def filled(slug):
    """A study with rows in every table that leads to it, and its files."""
    study = StudyFactory(slug=slug, require_reading=False)
    rater = MembershipFactory(study=study)
    MembershipFactory(study=study, role="owner")
    study.webhooks.create(url="https://8.8.8.8/", events=["run.ended"], secret="x")
    run = Run.objects.create(study=study, kind=RunKind.PRETRAIN, state=RunState.DONE)
    run.points.create(step=1, values={"loss": 1.0})
    run.samples.create(step=1, prompt="p", response="r")
    announce(study_id=study.pk, event="run.ended", run=run.pk)
    snapshot = study.snapshots.create(sha256="0" * 64, judgement_ids=[])
    start = ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name="start", path="/m")
    policy = ModelVersion.objects.create(
        study=study,
        kind=ModelKind.POLICY,
        name="tuned",
        path="/t",
        parent=start,
        reward=start,
        snapshot=snapshot,
        run=run,
    )
    round_ = Round.objects.create(study=study, number=1, policy=policy, against=start)
    tasks = TaskFactory.create_batch(5, study=study, round=round_)
    for response in tasks[0].responses.all():
        ResponseReward.objects.create(version=policy, response=response, reward=0.5, log_odds=0.1)
    set_known_answer(task=tasks[-1], purpose="practice", ranks=[1, 2])
    judged = submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2]))
    MachineVerdict.objects.create(judgement=correct(judgement=judged, answer=Answer(ranks=[2, 1])), first_better=0.4)
    flag(assignment=lease_next(rater=rater), kind="unsafe")
    lease_next(rater=rater)
    invite(study=study, days=3)
    CriterionFactory(study=study)
    publish(study=study, text="Compare.")
    publish_consent(study=study, text="May we?")
    for folder in files(study, run):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    return study


def files(study, run):
    var = run_folder(run).parent.parent
    return run_folder(run), var / "models" / study.slug / "pretrain-1", var / "uploads" / f"{study.pk}-0a"


def counts():
    """Rows of every table that a study leads to."""
    own = (model for name in ("annotate", "training") for model in apps.get_app_config(name).get_models())
    return {model.__name__: model._default_manager.count() for model in own if model not in (Entry, User)}


def delete(client, study, typed):
    client.force_login(study.memberships.get(role="owner").user)
    return client.post(reverse("study-delete", args=[study.slug]), {"confirmation": typed})


def test_every_row_and_file_goes_and_nothing_of_another_study(client, django_capture_on_commit_callbacks):
    kept = filled("kept")
    before, kept_files = counts(), files(kept, kept.runs.get())
    gone = filled("gone")
    gone_files = files(gone, gone.runs.get())
    # So that the test speaks of every table but those of accounts.
    accounts = {"ApiToken", "IdempotencyKey", "FailureCounter", "KnownDevice"}
    same = {name for name, count in counts().items() if count == before[name]}
    assert same <= accounts, f"fill these: {same - accounts}"
    with django_capture_on_commit_callbacks(execute=True):
        answer = delete(client, gone, "gone")
    assert (answer.status_code, answer.url) == (302, reverse("studies"))
    assert counts() == before
    assert not any(folder.exists() for folder in gone_files)
    assert all(folder.exists() for folder in kept_files)
    entry = Entry.objects.get(subject="study gone")
    assert (entry.study, entry.details["judgements"], entry.details["tasks"]) == (None, 2, 5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('palate.erasing', true)")
        assert cursor.fetchone()[0] == "off"


@pytest.mark.parametrize("typed", ["", "kept", "Gone", "yes"])
def test_another_word_deletes_nothing(client, typed):
    study = filled("gone")
    answer = delete(client, study, typed)
    assert answer.status_code == 422
    assert "Type the short name of the study, gone" in answer.content.decode()
    assert Study.objects.filter(slug="gone").exists()


def test_a_manager_sees_the_page_and_cannot(client):
    study = filled("gone")
    client.force_login(MembershipFactory(study=study, role="manager").user)
    assert "Only the owner" in client.get(reverse("study-delete", args=["gone"])).content.decode()
    assert client.post(reverse("study-delete", args=["gone"]), {"confirmation": "gone"}).status_code == 422
    assert Study.objects.filter(slug="gone").exists()


def test_a_run_at_work_and_another_studys_model_stand_in_the_way(client):
    study = filled("gone")
    Run.objects.create(study=study, kind=RunKind.PRETRAIN, state=RunState.RUNNING)
    assert "is at work. Cancel it first." in delete(client, study, "gone").content.decode()
    Run.objects.update(state=RunState.DONE)
    own = study.model_versions.get(name="start")
    ModelVersion.objects.create(study=StudyFactory(), kind=ModelKind.POLICY, name="theirs", path="/x", parent=own)
    assert "Other studies use models of this one: theirs." in delete(client, study, "gone").content.decode()
    assert study.prompts.exists()
