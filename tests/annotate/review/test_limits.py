"""Skips and flags have limits: one rater, or many accounts of one person, cannot empty a study."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotate.collection.flags import flag, resolve
from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next, release_lease, skip
from annotate.collection.limits import FREE_FLAGS, FREE_FLAGS_OF_ALL, FREE_SKIPS
from annotate.models.choices import AssignmentState, Purpose
from annotate.models.review import Flag
from annotate.models.tasks import Assignment, Task
from core.errors import LimitReached
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    study = StudyFactory(slug="shop", replication=3)
    TaskFactory.create_batch(60, study=study)
    return study


@pytest.fixture
def rater(study):
    return MembershipFactory(study=study)


def judge(rater, times):
    for _ in range(times):
        submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2]))


def skip_all(rater, times):
    for _ in range(times):
        skip(assignment=lease_next(rater=rater), reason="unclear")


def flag_all(rater, times):
    return [flag(assignment=lease_next(rater=rater), kind="unsafe") for _ in range(times)]


class TestSkips:
    def test_after_the_free_ones_a_share_of_the_answers_may_be_skipped(self, rater):
        skip_all(rater, FREE_SKIPS)
        with pytest.raises(LimitReached, match="skipped or flagged 20 tasks within a day and answered 0"):
            skip_all(rater, 1)
        judge(rater, 5)  # a fifth of them
        skip_all(rater, 1)
        with pytest.raises(LimitReached):
            skip_all(rater, 1)

    def test_a_refused_skip_changes_nothing_and_the_task_can_be_returned_or_judged(self, rater):
        skip_all(rater, FREE_SKIPS)
        assignment = lease_next(rater=rater)
        with pytest.raises(LimitReached):
            skip(assignment=assignment, reason="unclear")
        assignment.refresh_from_db()
        assert assignment.state == AssignmentState.LEASED
        release_lease(assignment=assignment)
        judge(rater, 1)

    def test_the_next_day_it_begins_anew(self, rater):
        skip_all(rater, FREE_SKIPS)
        Assignment.objects.update(ended_at=timezone.now() - timedelta(days=1))
        skip_all(rater, 1)

    def test_one_that_ran_out_counts_when_it_is_skipped(self, rater):
        skip_all(rater, FREE_SKIPS - 1)
        assignment = lease_next(rater=rater)
        release_lease(assignment=assignment)
        skip(assignment=assignment, reason="unclear")
        with pytest.raises(LimitReached):
            skip_all(rater, 1)

    def test_the_page_says_why(self, client, rater):
        skip_all(rater, FREE_SKIPS)
        client.force_login(rater.user)
        address = reverse("skip", args=[lease_next(rater=rater).pk])
        page = client.post(address, {"reason": "language"})
        assert page.status_code == 429
        assert "skipped or flagged 20 tasks" in page.content.decode()
        assert 86_000 < int(page.headers["Retry-After"]) <= 86_400
        answer = client.post(address, {"reason": "language"}, headers={"Accept": "application/json"})
        assert answer.status_code == 429
        assert "skipped or flagged 20 tasks" in answer.json()["problems"][0]

    def test_the_share_is_a_setting(self, client, study, rater):
        study.skip_share = 1.0
        study.save()
        rater.refresh_from_db()
        judge(rater, 3)
        skip_all(rater, FREE_SKIPS + 3)

    def test_flags_count_as_skips(self, rater):
        flag_all(rater, FREE_SKIPS)
        with pytest.raises(LimitReached):
            flag_all(rater, 1)
        assert Flag.objects.count() == FREE_SKIPS

    def test_every_question_of_the_quiz_may_be_skipped_and_is_wrong_then(self, study, rater):
        for task in TaskFactory.create_batch(FREE_SKIPS + 2, study=study):
            set_known_answer(task=task, purpose=Purpose.QUIZ, ranks=[1, 2])
        skip_all(rater, FREE_SKIPS + 2)
        rater.refresh_from_db()
        assert rater.quiz_passed is False
        assert lease_next(rater=rater) is None


class TestFlags:
    def test_one_rater_takes_few_tasks_out(self, study, rater):
        flags = flag_all(rater, 12)
        assert Task.objects.filter(withdrawn=True).count() == FREE_FLAGS
        assert [made.over_limit for made in flags] == [False] * FREE_FLAGS + [True] * 7
        assert Flag.objects.filter(resolved_at=None).count() == 12

    def test_whoever_answers_much_may_flag_more(self, study, rater):
        study.flag_share = 0.5
        study.save()
        judge(rater, 4)
        flag_all(rater, 12)
        assert Task.objects.filter(withdrawn=True).count() == FREE_FLAGS + 2

    def test_many_accounts_take_few_tasks_out(self, study):
        for rater in MembershipFactory.create_batch(8, study=study):
            flag_all(rater, FREE_FLAGS)
        assert Task.objects.filter(withdrawn=True).count() == FREE_FLAGS_OF_ALL

    def test_a_flag_of_the_day_before_counts_no_more(self, study, rater):
        flag_all(rater, FREE_FLAGS)
        Flag.objects.update(made_at=timezone.now() - timedelta(days=1))
        assert not flag_all(rater, 1)[0].over_limit

    def test_after_a_decision_the_same_rater_does_not_take_the_task_out_again(self, study, rater):
        assignment = lease_next(rater=rater)
        first = flag(assignment=assignment, kind="unsafe")
        resolve(task=assignment.task, hand_out=True)
        assert flag(assignment=assignment, kind="private") == first
        assert not Task.objects.filter(withdrawn=True).exists()

    def test_one_over_the_limit_waits_for_review_and_its_task_stays_in_use(self, client, study, rater):
        flag_all(rater, FREE_FLAGS)
        client.force_login(rater.user)
        assignment = lease_next(rater=rater)
        page = client.post(reverse("skip", args=[assignment.pk]), {"reason": "unsafe"}, follow=True)
        assert "others may still get the task until then" in page.content.decode()
        assert Task.objects.open_to(MembershipFactory(study=study)).filter(pk=assignment.task_id).exists()
        client.force_login(MembershipFactory(study=study, role="manager").user)
        page = client.get(reverse("review", args=["shop"])).content.decode()
        assert "Many flags came before this one" in page
        for decision, withdrawn in (("hand-out", False), ("keep-out", True)):
            client.post(reverse("resolve-flags", args=["shop", assignment.task_id]), {"decision": decision})
            assert Task.objects.get(pk=assignment.task_id).withdrawn == withdrawn

    @pytest.mark.parametrize("before", [0, FREE_FLAGS])
    def test_what_is_said_does_not_tell_a_check_from_a_task(self, client, study, before):
        pages = []
        for gold in (0.0, 1.0):
            rater = MembershipFactory(study=study)
            flag_all(rater, before)
            if gold:
                set_known_answer(task=TaskFactory(study=study), purpose=Purpose.GOLD, ranks=[1, 2])
            study.gold_share = gold
            study.save()
            client.force_login(rater.user)
            assignment = lease_next(rater=rater)
            assert (assignment.task.purpose == Purpose.GOLD) == bool(gold)
            client.post(reverse("skip", args=[assignment.pk]), {"reason": "unsafe"})
            study.gold_share = 0.0
            study.save()
            page = client.get(reverse("studies"))
            pages.append([str(message) for message in page.context["messages"]])
        assert pages[0] == pages[1]
        assert len(pages[0]) == (2 if before else 1)
