"""Pages that list things ask the database as often for ten of them as for one."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotate.collection.flags import flag
from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import create_tasks, lease_next, skip
from annotate.members.operations import invite
from annotate.members.queries import progress_of, progress_of_all
from annotate.models.tasks import Task
from annotate.models.webhooks import Webhook
from annotate.webhooks.operations import announce
from tests.factories import (
    MembershipFactory,
    PromptFactory,
    ResponseFactory,
    StudyFactory,
    TaskFactory,
)
from training.models import ModelKind, ModelVersion, Round, Run, RunKind, RunState

pytestmark = pytest.mark.django_db

PAGES = {
    "study-overview": {},
    "study-members": {},
    "study-settings": {},
    "work": {},
    "review": {},
    "gold-new": {},
    "quality": {},
    "quality-raters": {},
    "fairness": {},
    "standings": {},
    "study-report": {},
    "runs": {},
    "models": {},
    "audit": {},
    "machines": {},
    "exchange": {},
    "history": {},
}
API = (
    "studies/",
    *(f"studies/shop/{name}/" for name in ("prompts", "responses", "judgements", "runs", "models", "webhooks")),
)


@pytest.fixture
def manager(client):
    study = StudyFactory(slug="shop", require_reading=False, replication=1, repeat_share=0)
    manager = MembershipFactory(study=study, role="owner", user__username="ada")
    client.force_login(manager.user)
    return manager


def one_more_of_everything(manager, number):
    """A study of its own, and in the first one a judged round, a flag, a skip, a dispute, a rater, a run, a model, …"""
    study = manager.study
    MembershipFactory(study=StudyFactory(), user=manager.user, role="owner")
    models = [
        ModelVersion.objects.create(
            study=study,
            kind=kind,
            name=f"{kind}{number}",
            path=f"/{kind}/{number}",
            run=Run.objects.create(study=study, kind=job, state=RunState.DONE, created_by=manager.user),
        )
        for kind, job in ((ModelKind.POLICY, RunKind.RL_FINETUNE), (ModelKind.PREFERENCE, RunKind.TRAIN_PREFERENCE))
    ]
    base = ModelVersion.objects.filter(kind=ModelKind.POLICY).order_by("pk").first()
    turn = Round.objects.create(study=study, number=number, policy=models[0], against=base, preference=models[1])
    prompt = PromptFactory(study=study, group=f"group {number % 2}")
    pair = [ResponseFactory(prompt=prompt, author_model=models[0], author_name=""), ResponseFactory(prompt=prompt)]
    create_tasks(study=study, response_sets=[pair], round=turn, replication=2, priority=20)
    raters = MembershipFactory.create_batch(2, study=study, quiz_passed=True)
    for rater, ranks in zip(raters, ([1, 2], [2, 1]), strict=True):
        assignment = lease_next(rater=rater)
        order = sorted(assignment.shown)
        submit(assignment=assignment, answer=Answer(ranks=[ranks[order.index(pk)] for pk in assignment.shown]))
    TaskFactory(study=study, priority=10)
    submit(assignment=lease_next(rater=manager), answer=Answer(ranks=[1, 2]))
    TaskFactory(study=study, priority=10)
    flag(assignment=lease_next(rater=raters[0]), kind="unsafe", details="look")
    TaskFactory(study=study, priority=10)
    skip(assignment=lease_next(rater=raters[1]), reason="unclear")
    Task.objects.filter(slots_taken=0, withdrawn=False, purpose="collect").update(withdrawn=True)
    set_known_answer(task=TaskFactory(study=study), purpose="practice", ranks=[1, 2])
    invite(study=study, days=1)
    announce(study_id=study.pk, event="run.ended")
    study.audit.create(actor="ada", action="changed", subject="settings")
    Webhook.objects.create(study=study, url="https://hook.example/", secret="x", events=["run.ended"])


def counts(client):
    addresses = [
        reverse("studies"),
        *(reverse(name, args=["shop"]) for name in PAGES),
        *(f"/api/v1/{path}" for path in API),
    ]
    found = {}
    for address in addresses:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(address).status_code == 200, address
        found[address] = len(queries)
    return found


def test_ten_take_as_many_queries_as_one(client, manager):
    one_more_of_everything(manager, 1)
    counts(client)  # what is remembered from the first page on, such as content types, is read here
    one = counts(client)
    for number in range(2, 11):
        one_more_of_everything(manager, number)
    ten = counts(client)
    assert {address: (one[address], n) for address, n in ten.items() if n > one[address]} == {}


def test_the_study_list_says_what_each_rating_page_says(manager):
    study = manager.study
    tagged, plain = MembershipFactory(study=study, tags=["de"]), MembershipFactory(study=study)
    paused = MembershipFactory(study=study, status="paused")
    foreign = MembershipFactory(study=StudyFactory(active=False))
    for task in TaskFactory.create_batch(6, study=study, replication=2)[:2]:
        Task.objects.filter(pk=task.pk).update(audience=["de"])
    TaskFactory(study=foreign.study)
    submit(assignment=lease_next(rater=plain), answer=Answer(ranks=[1, 2]))
    skip(assignment=lease_next(rater=tagged), reason="unclear")
    lease_next(rater=plain)
    raters = [manager, tagged, plain, paused, foreign]
    listed = progress_of_all(raters)
    single = {rater.pk: progress_of(rater) for rater in raters}
    assert {pk: (p.judged, p.open) for pk, p in listed.items()} == {pk: (p.judged, p.open) for pk, p in single.items()}
    assert [listed[rater.pk].open for rater in raters] == [4, 5, 3, 0, 0]
    assert progress_of_all([]) == {}
