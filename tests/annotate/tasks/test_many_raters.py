"""Many raters at once, on real connections: each task gets exactly its judgements, whatever the timing."""

import contextlib
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next, release_lease, skip
from annotate.models.choices import AssignmentState
from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment, Task
from core.errors import PalateError
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

THREADS = 8
ANSWER = Answer(ranks=[1, 2], strength=2)

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(work, items):
    """Run `work` for each item in eight threads with a connection each; an error of any of them is raised."""

    def one(item):
        close_old_connections()
        try:
            return work(item)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, items))


def assert_the_books_balance():
    for task in Task.objects.prefetch_related("judgements", "assignments"):
        held = [a for a in task.assignments.all() if a.state in (AssignmentState.LEASED, AssignmentState.JUDGED)]
        judged_by = Counter(judgement.rater_id for judgement in task.judgements.all())
        assert task.slots_taken == len(held) <= task.replication
        assert set(judged_by.values()) <= {1}
        assert set(judged_by) == {a.rater_id for a in held if a.state == AssignmentState.JUDGED}


def judge_all(rater):
    made = 0
    while assignment := lease_next(rater=rater):
        submit(assignment=assignment, answer=ANSWER)
        made += 1
    return made


def test_every_task_gets_exactly_its_judgements():
    study = StudyFactory(replication=3)
    tasks = TaskFactory.create_batch(20, study=study)
    raters = MembershipFactory.create_batch(12, study=study)
    at_once(judge_all, raters)
    assert Counter(Judgement.objects.values_list("task", flat=True)) == {task.pk: 3 for task in tasks}
    assert_the_books_balance()


def test_the_last_task_is_waited_for_while_somebody_else_leases_it():
    study = StudyFactory(replication=2)
    task = TaskFactory(study=study)
    locked = threading.Event()

    def hold_for_a_moment(_):
        with transaction.atomic():
            Task.objects.select_for_update().get(pk=task.pk)
            locked.set()
            time.sleep(0.3)

    def lease(rater):
        locked.wait()
        return lease_next(rater=rater)

    work = [(hold_for_a_moment, None), (lease, MembershipFactory(study=study))]
    _, assignment = at_once(lambda pair: pair[0](pair[1]), work)
    assert assignment.task == task


def test_one_rater_in_many_tabs_holds_one_task():
    study = StudyFactory(replication=5)
    TaskFactory.create_batch(10, study=study)
    rater = MembershipFactory(study=study)
    leases = at_once(lambda _: lease_next(rater=rater).pk, range(16))
    assert len(set(leases)) == 1
    assert sum(Task.objects.values_list("slots_taken", flat=True)) == 1


def test_one_answer_sent_many_times_at_once_is_one_judgement():
    study = StudyFactory()
    TaskFactory(study=study)
    assignment = lease_next(rater=MembershipFactory(study=study))
    made = at_once(lambda _: submit(assignment=assignment, answer=ANSWER).pk, range(16))
    assert len(set(made)) == 1
    assert_the_books_balance()


def test_leases_that_run_out_in_between_lose_nothing_and_add_nothing():
    study = StudyFactory(replication=2)
    tasks = TaskFactory.create_batch(10, study=study)
    raters = MembershipFactory.create_batch(10, study=study)
    acknowledged = []

    def unreliable(seed):
        chance = random.Random(seed)
        rater = raters[seed % len(raters)]
        for _ in range(12):
            assignment = lease_next(rater=rater)
            if assignment is None:
                return
            fate = chance.random()
            if fate < 0.35:
                late = timezone.now() - timedelta(seconds=1)
                Assignment.objects.filter(pk=assignment.pk, state=AssignmentState.LEASED).update(expires_at=late)
            if fate < 0.15:
                continue
            if fate > 0.8:
                release_lease(assignment=assignment)
            # LeaseLost, or the rater's other tab was faster.
            with contextlib.suppress(PalateError):
                if fate > 0.97:
                    skip(assignment=assignment, reason="unclear")
                else:
                    acknowledged.append(submit(assignment=assignment, answer=ANSWER).pk)

    # Every rater twice: two tabs of one person race each other, too.
    at_once(unreliable, range(20))
    assert_the_books_balance()
    assert set(acknowledged) == set(Judgement.objects.values_list("pk", flat=True))

    Assignment.objects.filter(state=AssignmentState.LEASED).update(expires_at=timezone.now() - timedelta(seconds=1))
    at_once(judge_all, MembershipFactory.create_batch(6, study=study))
    assert Counter(Judgement.objects.values_list("task", flat=True)) == {task.pk: 2 for task in tasks}
    assert_the_books_balance()
