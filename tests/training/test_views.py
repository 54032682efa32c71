"""The managers' pages: who may open them, what they show, what they start."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.tasks import Task
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory, UserFactory
from training.models import ModelKind, ModelVersion, Round, Run, RunKind, RunPoint, RunState, Snapshot

pytestmark = pytest.mark.django_db

EVALUATION = {
    "pairs": 10,
    "pairs_clear": 4,
    "prompts": 3,
    **dict.fromkeys(("accuracy", "accuracy_clear", "log_loss", "ece", "kendall_tau"), 0.7),
    "baselines": dict.fromkeys(("longer", "majority", "rater_vs_others"), 0.5),
    "intervals": {
        **{key: [0.6, 0.8] for key in ("accuracy", "accuracy_clear", "log_loss", "ece", "kendall_tau")},
        "baselines": {key: [0.4, 0.6] for key in ("longer", "majority", "rater_vs_others")},
    },
}


@pytest.fixture
def manager():
    return MembershipFactory(role="manager")


@pytest.fixture
def study(manager):
    """A study in which something of everything has happened."""
    study = manager.study
    task = TaskFactory(study=study)
    submit(assignment=lease_next(rater=manager), answer=Answer(ranks=[1, 2], comment="<script>alert(1)</script>"))
    snapshot = Snapshot.objects.create(study=study, sha256="a" * 64, judgement_ids=[1])
    base = ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name="base", path="/models/base")
    reward = ModelVersion.objects.create(
        study=study,
        kind=ModelKind.PREFERENCE,
        name="reward",
        path="/models/reward",
        snapshot=snapshot,
        metrics={"evaluation": EVALUATION},
        card="# card\n\n<script>alert(2)</script> [x](javascript:alert(3)) ![i](https://evil.example/i.png)",
    )
    run = Run.objects.create(study=study, kind=RunKind.RL_FINETUNE, state=RunState.RUNNING, total_steps=4, step=2)
    for step in (1, 2):
        RunPoint.objects.create(run=run, step=step, values={"reward": step / 2})
    run.samples.create(step=1, prompt="p", response="<img src=x onerror=alert(4)>", reward=0.5)
    run.samples.create(
        step=2, prompt="p", before="<script>alert(5)</script>", response="<script>alert(6)</script>", before_reward=1
    )
    tuned = ModelVersion.objects.create(
        study=study,
        kind=ModelKind.POLICY,
        name="tuned",
        path="/models/tuned",
        parent=base,
        reward=reward,
        run=run,
        metrics={"before": {"reward": 0.1, "kl": 0.0}, "after": {"reward": 0.9, "kl": 2.0}},
    )
    round_ = Round.objects.create(study=study, number=1, policy=tuned, against=base, preference=reward)
    Task.objects.filter(pk=task.pk).update(round=round_)
    first, second = task.responses.order_by("pk")
    for response, author in ((first, tuned), (second, base)):
        response.author_model = author
        response.save()
    return study


def addresses(study):
    run = study.runs.get()
    return [
        *(reverse(name, args=[study.slug]) for name in ("study-overview", "study-settings", "study-members")),
        *(reverse(name, args=[study.slug]) for name in ("runs", "models", "exchange")),
        *(reverse("run-start", args=[study.slug, kind]) for kind in ("pretrain", "train_preference", "next_round")),
        *(reverse(name, args=[run.pk]) for name in ("run", "run-live")),
        *(reverse("model", args=[study.slug, version.pk]) for version in study.model_versions.all()),
        reverse("round", args=[study.slug, 1]),
        *(reverse("export", args=[study.slug, form, "csv"]) for form in ("raw", "pairs")),
    ]


def test_a_manager_opens_every_page_and_no_hostile_text_runs(client, manager, study):
    client.force_login(manager.user)
    for address in addresses(study):
        page = client.get(address)
        assert page.status_code == 200, address
        text = (b"".join(page.streaming_content) if page.streaming else page.content).decode()
        if not page.streaming:
            assert "<script>alert" not in text
            assert "onerror=alert(4)>" not in text.replace("&gt;", "")
            assert 'href="javascript' not in text
            assert 'src="https://evil' not in text
            assert 'src="http://evil' not in text


@pytest.mark.parametrize(
    ("minutes", "in_worker", "expected"), [(60, False, True), (0, False, False), (60, True, False)]
)
def test_the_page_of_a_run_tells_that_its_command_was_killed(client, manager, study, minutes, in_worker, expected):
    client.force_login(manager.user)
    run = study.runs.first()
    heard = timezone.now() - timedelta(minutes=minutes)
    Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING, heartbeat_at=heard, in_worker=in_worker)
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    assert ("give the same command again" in page) == expected


def test_lineage_leads_from_the_model_to_the_snapshot_and_to_the_responses(client, manager, study):
    client.force_login(manager.user)
    tuned, reward = (study.model_versions.get(name=name) for name in ("tuned", "reward"))
    page = client.get(reverse("model", args=[study.slug, tuned.pk]))
    assert page.context["responses"].count() == 1
    assert reverse("model", args=[study.slug, reward.pk]) in page.content.decode()
    page = client.get(reverse("model", args=[study.slug, reward.pk])).content.decode()
    assert "a" * 16 in page
    assert reverse("model", args=[study.slug, tuned.pk]) in page
    assert "0.700 [0.600, 0.800]" in page


@pytest.mark.parametrize(("given", "name"), [("/models/encoder", "encoder"), ("some/writer", "some/writer")])
def test_lineage_names_a_base_that_is_no_model_version(client, manager, given, name):
    client.force_login(manager.user)
    run = Run.objects.create(study=manager.study, kind=RunKind.PRETRAIN, config={"base_model": given})
    made = ModelVersion.objects.create(study=manager.study, kind=ModelKind.POLICY, name="m", path="/models/m", run=run)
    page = client.get(reverse("model", args=[manager.study.slug, made.pk])).content.decode()
    assert f"<dt>Made from</dt><dd>{name}</dd>" in page
    assert f"<td>{name}</td>" in client.get(reverse("models", args=[manager.study.slug])).content.decode()


def test_the_list_of_models_tells_what_tuning_changed(client, manager, study):
    ModelVersion.objects.filter(name="tuned").update(
        metrics={
            "before": {"reward": 0.1, "kl": 0.0, "length": 9.0},
            "after": {"reward": 0.9, "kl": 2.0, "length": 7.0},
        }
    )
    client.force_login(manager.user)
    page = client.get(reverse("models", args=[study.slug])).content.decode()
    assert "Reward 0.10 → 0.90" in page
    assert "KL to the start, nats 0.00 → 2.00" in page
    assert "Length" not in page


def test_shared_models_have_a_page_and_models_of_other_studies_none(client, manager, study):
    client.force_login(manager.user)
    shared, foreign = (
        ModelVersion.objects.create(study=owner, kind=ModelKind.POLICY, name="m", path=f"/models/{owner}")
        for owner in (None, StudyFactory())
    )
    assert client.get(reverse("model", args=[study.slug, shared.pk])).status_code == 200
    assert client.get(reverse("model", args=[study.slug, foreign.pk])).status_code == 404


def test_the_round_shows_the_win_rate(client, manager, study):
    client.force_login(manager.user)
    page = client.get(reverse("round", args=[study.slug, 1]))
    assert page.context["rate"].judgements == 1
    assert page.context["rate"].value in (0.0, 1.0)


@pytest.mark.parametrize(("state", "total", "waits"), [(RunState.QUEUED, 0, True), (RunState.RUNNING, 4, False)])
def test_a_run_that_has_not_begun_says_what_it_waits_for_and_counts_no_steps(
    client, manager, study, state, total, waits
):
    client.force_login(manager.user)
    Run.objects.update(state=state, total_steps=total)
    page = client.get(reverse("run", args=[study.runs.get().pk])).content.decode()
    assert "The run waits for a worker." in page
    assert ("data-waits>" in page) == waits
    assert ("<span data-steps hidden>" in page) == waits


def test_live_tells_progress_and_curves(client, manager, study):
    client.force_login(manager.user)
    live = client.get(reverse("run-live", args=[study.runs.get().pk])).json()
    assert (live["percent"], live["ended"], live["state"]) == (50, False, "running")
    assert [(curve["name"], curve["steps"], curve["now"]) for curve in live["curves"]] == [
        ("Reward", "step 1 to 2", "1")
    ]


def test_each_member_of_an_ensemble_has_a_line_in_the_curve(client, manager, study):
    client.force_login(manager.user)
    run = study.runs.get()
    for step in (1, 2, 3):
        RunPoint.objects.create(run=run, step=step, values={"reward": 0.0})
    (curve,) = client.get(reverse("run-live", args=[run.pk])).json()["curves"]
    assert curve["lines"] == ["0.0,60.0 300.0,3.0", "0.0,117.0 300.0,117.0 600.0,117.0"]
    assert (curve["steps"], curve["low"], curve["high"], curve["now"]) == ("step 1 to 3", "0", "1", "0")
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    assert all(f'<polyline points="{points}">' in page for points in curve["lines"])


@pytest.mark.parametrize(
    ("state", "words", "ends"),
    [
        (RunState.RUNNING, "The run stops at its next step.", RunState.RUNNING),
        (RunState.QUEUED, "The run is cancelled.", RunState.CANCELLED),
    ],
)
def test_cancel_asks_the_run_to_stop_and_says_once_what_comes_of_it(client, manager, study, state, words, ends):
    client.force_login(manager.user)
    Run.objects.update(state=state)
    run = study.runs.get()
    assert client.get(reverse("run-cancel", args=[run.pk])).status_code == 405
    page = client.post(reverse("run-cancel", args=[run.pk]), follow=True).content.decode()
    run.refresh_from_db()
    assert run.state == ends
    assert run.cancel_requested == (state == RunState.RUNNING)
    assert page.count(words) == 1
    assert f'data-state="{ends}"' in page


class TestStudies:
    def form(self, **changes):
        data = {
            "name": "Answers",
            "slug": "answers",
            "method": "score",
            "replication": "2",
            "rank_size": "3",
            "text_format": "plain",
            "criteria-TOTAL_FORMS": "1",
            "criteria-INITIAL_FORMS": "0",
            "criteria-0-name": "Clear",
            "criteria-0-minimum": "1",
            "criteria-0-maximum": "7",
            "criteria-0-lowest": "muddled",
        }
        return {**data, **changes}

    def test_whoever_makes_a_study_owns_it(self, client):
        user = UserFactory(is_superuser=True)
        client.force_login(user)
        page = client.post(reverse("study-create"), self.form())
        assert page.url == reverse("study-overview", args=["answers"])
        study = user.memberships.get(role="owner").study
        assert (study.replication, study.criteria.get().labels) == (2, {"1": "muddled"})
        assert client.get(page.url).status_code == 200

    @pytest.mark.parametrize(
        "changes",
        [{"slug": "new"}, {"criteria-0-name": ""}, {"criteria-0-maximum": "0"}, {"replication": "0"}, {"name": ""}],
    )
    def test_what_does_not_fit_is_said(self, client, changes):
        client.force_login(UserFactory(is_superuser=True))
        page = client.post(reverse("study-create"), self.form(**changes))
        assert page.status_code == 422
        assert "error" in page.content.decode()

    def test_settings_are_saved(self, client, manager):
        client.force_login(manager.user)
        address = reverse("study-settings", args=[manager.study.slug])
        shown = client.get(address).context["form"].initial
        data = {name: value for name, value in shown.items() if value is not None and value is not False}
        client.post(address, {**data, "name": "New name", "replication": "5", "break_minutes": "30"})
        manager.study.refresh_from_db()
        assert (manager.study.name, manager.study.replication, manager.study.break_minutes) == ("New name", 5, 30)
        assert client.post(reverse("study-settings", args=[manager.study.slug]), {"name": ""}).status_code == 422


class TestMembers:
    def test_an_account_is_made_with_its_first_password(self, client, manager):
        client.force_login(manager.user)
        address = reverse("study-members", args=[manager.study.slug])
        client.post(address, {"username": "grace", "role": "rater", "password": "hopper-1906"})
        assert manager.study.memberships.get(user__username="grace").role == "rater"
        assert client.login(username="grace", password="hopper-1906")

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            ({"username": "nobody", "role": "rater"}, "There is no account nobody"),
            ({"username": "grace", "role": "rater", "password": "123"}, "too short"),
            ({"username": "grace", "role": "owner"}, "Select a valid choice"),
        ],
    )
    def test_what_does_not_fit_is_said(self, client, manager, data, words):
        client.force_login(manager.user)
        page = client.post(reverse("study-members", args=[manager.study.slug]), data)
        assert page.status_code == 422
        assert words in page.content.decode()

    def test_an_owner_stays_and_a_rater_goes(self, client, manager):
        client.force_login(manager.user)
        owner, rater = (MembershipFactory(study=manager.study, role=role) for role in ("owner", "rater"))
        for member in (owner, rater):
            address = reverse("study-member-remove", args=[manager.study.slug, member.pk])
            # A plain page asks first; opening it removes nobody.
            asked = client.get(address).content.decode()
            assert f"{member} can no longer rate" in asked
            member.refresh_from_db()
            assert member.active
            client.post(address)
            member.refresh_from_db()
        assert owner.active
        assert not rater.active

    def test_an_owner_is_not_made_a_rater(self, client):
        owner = MembershipFactory(role="owner")
        client.force_login(owner.user)
        client.post(
            reverse("study-members", args=[owner.study.slug]), {"username": owner.user.username, "role": "rater"}
        )
        owner.refresh_from_db()
        assert owner.role == "owner"


def test_an_empty_study_says_what_comes_next(client):
    manager = MembershipFactory(study=StudyFactory(), role="owner")
    client.force_login(manager.user)
    assert "No prompts yet" in client.get(reverse("study-overview", args=[manager.study.slug])).content.decode()


def test_a_scoring_study_has_an_overview_too(client):
    manager = MembershipFactory(role="owner")
    CriterionFactory(study=manager.study, key="clear")
    TaskFactory(study=manager.study, k=1)
    submit(assignment=lease_next(rater=manager), answer=Answer(scores={"clear": [3]}))
    client.force_login(manager.user)
    page = client.get(reverse("study-overview", args=[manager.study.slug]))
    assert page.context["progress"].judgements == 1
    assert page.context["agreement"].value is None
