"""The end of taking part: a closed study, an excluded, removed or erased rater, and what is stored after it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from annotate.collection.flags import flag
from annotate.collection.gold import FEWEST_GOLD, reinstate, set_known_answer
from annotate.collection.judgements import Answer, adjudicate, correct, submit
from annotate.collection.leases import keep_draft, lease_next, skip
from annotate.collection.permission import locked_rater
from annotate.collection.slots import free_slots
from annotate.members.erasure import erase_member
from annotate.members.operations import remove_member, set_tags
from annotate.members.rater_groups import declare_group
from annotate.models.choices import AssignmentState, Purpose, RaterStatus
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.review import Flag
from annotate.models.studies import GoldRule
from annotate.models.tasks import Assignment, Task
from annotate.studies.operations import close_study, reopen_study
from core.errors import PalateError
from tests.annotate.tasks.test_many_raters import at_once
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db
ANSWER, OTHER = Answer(ranks=[1, 2]), Answer(ranks=[2, 1])


@pytest.fixture
def study():
    return StudyFactory(slug="shop", replication=1, gold_rule=GoldRule.EXCLUDE)


@pytest.fixture
def rater(study):
    TaskFactory.create_batch(3, study=study)
    return MembershipFactory(study=study)


def expire(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


class TestClosed:
    def test_a_task_on_the_screen_can_be_sent_until_its_time_is_over(self, rater, study):
        assignment = lease_next(rater=rater)
        close_study(study=study)
        assert submit(assignment=assignment, answer=ANSWER).live

    def test_nothing_is_taken_after_that(self, rater, study):
        assignment = lease_next(rater=rater)
        close_study(study=study)
        expire(assignment)
        with pytest.raises(PalateError, match="closed"):
            submit(assignment=assignment, answer=ANSWER)
        assert not Judgement.objects.exists()

    def test_no_lease_is_renewed(self, rater, study):
        assignment = lease_next(rater=rater)
        close_study(study=study)
        end = Assignment.objects.get().expires_at
        lease_next(rater=rater)
        lease_next(rater=rater, beyond=[assignment.pk])
        keep_draft(assignment=assignment, fields={"comment": "x"})
        assert Assignment.objects.get().expires_at == end
        expire(assignment)
        with pytest.raises(PalateError, match="closed"):
            keep_draft(assignment=assignment, fields={"comment": "y"})
        assert lease_next(rater=rater) is None

    def test_an_answer_sent_again_is_still_acknowledged(self, rater, study):
        assignment = lease_next(rater=rater)
        made = submit(assignment=assignment, answer=ANSWER)
        close_study(study=study)
        assert submit(assignment=assignment, answer=ANSWER) == made

    def test_nothing_is_corrected(self, client, rater, study):
        made = submit(assignment=lease_next(rater=rater), answer=ANSWER)
        close_study(study=study)
        with pytest.raises(PalateError, match="closed"):
            correct(judgement=made, answer=OTHER)
        client.force_login(rater.user)
        page = client.post(reverse("correct", args=[made.pk]), {"preference": "a1"})
        assert page.status_code == 422
        assert "can no longer be changed" in page.content.decode()
        history = client.get(reverse("history", args=["shop"])).content.decode()
        assert "can no longer be changed" in history
        assert reverse("correct", args=[made.pk]) not in history
        assert client.get(reverse("correct", args=[made.pk])).url == reverse("history", args=["shop"])
        assert Judgement.objects.get().live
        reopen_study(study=study)
        assert correct(judgement=made, answer=OTHER).live

    def test_the_page_says_so(self, client, rater, study):
        lease_next(rater=rater)
        client.force_login(rater.user)
        assert "This study is closed" not in client.get(reverse("rate", args=["shop"])).content.decode()
        close_study(study=study)
        assert (
            "This study is closed. This task can still be sent until"
            in client.get(reverse("rate", args=["shop"])).content.decode()
        )


def exclude(rater):
    """The rater gives wrong answers to checks until the study's rule excludes them."""
    study = rater.study
    study.gold_share = 1.0
    study.save()
    for task in TaskFactory.create_batch(FEWEST_GOLD, study=study):
        set_known_answer(task=task, purpose=Purpose.GOLD, ranks=[1, 2])
        assignment = lease_next(rater=rater)
        right = assignment.shown == list(task.places.values_list("response_id", flat=True))
        submit(assignment=assignment, answer=OTHER if right else ANSWER)
    study.gold_share = 0.0
    study.save()
    rater.refresh_from_db()
    assert rater.status == RaterStatus.EXCLUDED


class TestExcluded:
    def test_others_judge_the_raters_tasks_again(self, rater, study):
        judged = submit(assignment=lease_next(rater=rater), answer=ANSWER).task
        exclude(rater)
        other = MembershipFactory(study=study)
        tasks = [submit(assignment=lease_next(rater=other), answer=ANSWER).task for _ in range(3)]
        assert judged in tasks
        assert lease_next(rater=other) is None

    def test_a_task_that_the_rater_holds_is_free_at_once(self, rater, study):
        rater_holds = lease_next(rater=rater)
        study.gold_share = 1.0
        study.save()
        for task in TaskFactory.create_batch(FEWEST_GOLD, study=study):
            set_known_answer(task=task, purpose=Purpose.GOLD, ranks=[1, 2])
            assignment = lease_next(rater=rater, beyond=[rater_holds.pk])
            right = assignment.shown == list(task.places.values_list("response_id", flat=True))
            submit(assignment=assignment, answer=OTHER if right else ANSWER)
        rater_holds.refresh_from_db()
        assert rater_holds.state == AssignmentState.RETURNED
        with pytest.raises(PalateError, match="excluded"):
            submit(assignment=rater_holds, answer=ANSWER)
        with pytest.raises(PalateError, match="excluded"):
            skip(assignment=rater_holds, reason="unclear")
        assert Task.objects.get(pk=rater_holds.task_id).slots_taken == 0
        assert not Judgement.objects.filter(task__purpose=Purpose.COLLECT).exists()

    def test_nothing_is_corrected(self, client, rater, study):
        made = submit(assignment=lease_next(rater=rater), answer=ANSWER)
        exclude(rater)
        with pytest.raises(PalateError, match="excluded"):
            correct(judgement=made, answer=OTHER)
        client.force_login(rater.user)
        assert "You can rate no more" in client.get(reverse("rate", args=["shop"])).content.decode()
        assert "can no longer be changed" in client.get(reverse("history", args=["shop"])).content.decode()

    def test_reinstated_the_votes_count_again_and_nothing_is_asked_twice(self, rater, study):
        first = submit(assignment=lease_next(rater=rater), answer=ANSWER).task
        second = submit(assignment=lease_next(rater=rater), answer=ANSWER).task
        exclude(rater)
        other = MembershipFactory(study=study)
        again = submit(assignment=lease_next(rater=other), answer=ANSWER).task
        assert again == first
        reinstate(rater=rater)
        for task, taken, expected in ((first, 2, 2), (second, 1, 1)):
            task.refresh_from_db()
            assert (task.slots_taken, task.replication) == (taken, expected)
        third = lease_next(rater=rater).task
        assert third not in (first, second)
        assert lease_next(rater=MembershipFactory(study=study)) is None


class TestRemoved:
    def test_what_the_rater_holds_is_free_and_nothing_more_is_taken(self, rater, study):
        assignment = lease_next(rater=rater)
        remove_member(member=rater)
        assert Task.objects.get(pk=assignment.task_id).slots_taken == 0
        for attempt in (
            lambda: submit(assignment=assignment, answer=ANSWER),
            lambda: skip(assignment=assignment, reason="unclear"),
            lambda: flag(assignment=assignment, kind="unsafe", details="x"),
        ):
            with pytest.raises(PalateError, match="no longer take part"):
                attempt()
        assert keep_draft(assignment=assignment, fields={"comment": "x"}) is False


def notices_of(rater):
    """Everything about the rater that an answer in the making could bring back."""
    rows = [Judgement.objects.all(), Assignment.objects.filter(rater=rater), Flag.objects.all()]
    rows.append(Membership.objects.filter(pk=rater.pk))
    return str([list(row.values()) for row in rows])


ATTEMPTS = {
    "submit": lambda lease, made: submit(assignment=lease, answer=Answer(ranks=[1, 2], comment="grace")),
    "correct": lambda lease, made: correct(judgement=made, answer=Answer(ranks=[2, 1], comment="grace")),
    "draft": lambda lease, made: keep_draft(assignment=lease, fields={"comment": "grace"}),
    "skip": lambda lease, made: skip(assignment=lease, reason="grace"),
    "flag": lambda lease, made: flag(assignment=lease, kind="private", details="grace"),
    "group": lambda lease, made: declare_group(rater=lease.rater, group="grace"),
    "tags": lambda lease, made: set_tags(member=lease.rater, tags=["grace"]),
    "adjudicate": lambda lease, made: adjudicate(
        task=made.task, expert=lease.rater, shown=made.shown, answer=Answer(ranks=[2, 1], comment="grace")
    ),
}


def while_locked(change, attempt):
    """Begin a change, start the attempt, and end the change once the attempt waits for it."""
    changed, waiting = threading.Event(), threading.Event()

    def first(_):
        with transaction.atomic():
            change()
            changed.set()
            for _ in range(2000):
                if waits():
                    break
                waiting.wait(0.01)
            else:
                raise AssertionError("the attempt does not wait")

    def second(_):
        changed.wait()
        try:
            attempt()
        except PalateError as error:
            return str(error)
        return ""

    return at_once(lambda work: work(None), [first, second])[1]


def waits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ATTEMPTS)
def test_what_waits_behind_an_erasure_stores_nothing_of_the_person(name):
    study = StudyFactory(rater_groups=["grace", "other"])
    TaskFactory.create_batch(2, study=study)
    rater = MembershipFactory(study=study, user__username="grace")
    made = submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2], comment="grace"))
    lease = lease_next(rater=rater)
    while_locked(lambda: erase_member(member=rater), lambda: ATTEMPTS[name](lease, made))
    assert "grace" not in notices_of(rater)
    assert [judgement.pk for judgement in Judgement.objects.all()] == [made.pk]


@pytest.mark.django_db(transaction=True)
def test_a_correction_that_waits_behind_the_close_is_refused():
    study = StudyFactory()
    TaskFactory(study=study)
    made = submit(assignment=lease_next(rater=MembershipFactory(study=study)), answer=ANSWER)
    words = while_locked(lambda: close_study(study=study), lambda: correct(judgement=made, answer=OTHER))
    assert "closed" in words
    assert Judgement.objects.get().live


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_waits_behind_the_close_is_not_given():
    study = StudyFactory()
    TaskFactory(study=study)
    rater = MembershipFactory(study=study)
    while_locked(lambda: close_study(study=study), lambda: lease_next(rater=rater))
    assert not Assignment.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_waits_behind_an_exclusion_is_refused():
    study = StudyFactory()
    TaskFactory(study=study)
    rater = MembershipFactory(study=study)
    lease = lease_next(rater=rater)
    excluded = Membership.objects.filter(pk=rater.pk)
    words = while_locked(
        lambda: excluded.update(status=RaterStatus.EXCLUDED), lambda: submit(assignment=lease, answer=ANSWER)
    )
    assert "excluded" in words
    assert not Judgement.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_are_excluded_at_the_same_time_and_the_books_balance():
    """Each rater has judged some tasks and holds others, in an order of their own."""
    study = StudyFactory(replication=8)
    TaskFactory.create_batch(12, study=study)
    raters = MembershipFactory.create_batch(8, study=study)
    for number, rater in enumerate(raters):
        leases: list[Assignment] = []
        for _ in range(5):
            leases.append(lease_next(rater=rater, beyond=[lease.pk for lease in leases]))
        for lease in leases[number % 4 :: 2]:
            submit(assignment=lease, answer=ANSWER)

    def exclude_now(rater):
        with transaction.atomic():
            free_slots(locked_rater(rater.pk))
            Membership.objects.filter(pk=rater.pk).update(status=RaterStatus.EXCLUDED)

    at_once(exclude_now, raters)
    assert set(Task.objects.values_list("slots_taken", flat=True)) == {0}
    at_once(lambda rater: reinstate(rater=rater), raters)
    taken = Task.objects.order_by("pk").values_list("slots_taken", flat=True)
    assert sum(taken) == Judgement.objects.count() > 8
