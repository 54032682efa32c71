"""Handing out tasks, one process at a time; test_many_raters.py has the crowd."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import LeaseLost, create_tasks, lease_next, release_lease, skip
from annotate.models.choices import AssignmentState
from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment, Task
from core.errors import PalateError
from tests.factories import MembershipFactory, PromptFactory, ResponseFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory(replication=1)


def rater_of(study):
    return MembershipFactory(study=study)


def let_run_out(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def slots(assignment):
    return Task.objects.get(pk=assignment.task_id).slots_taken


class TestCreateTasks:
    def test_one_task_a_set_whatever_its_order(self, study):
        prompt = PromptFactory(study=study)
        a, b, c = ResponseFactory.create_batch(3, prompt=prompt)
        assert create_tasks(study=study, response_sets=[[a, b], [b, a], [b, c]]) == 2
        assert create_tasks(study=study, response_sets=[[a, b], [a, c]]) == 1
        assert {task.responses.count() for task in Task.objects.all()} == {2}

    def test_replication_is_the_studys_unless_given(self, study):
        a, b = ResponseFactory.create_batch(2, prompt=PromptFactory(study=study))
        create_tasks(study=study, response_sets=[[a, b]])
        create_tasks(study=study, response_sets=[[a]], replication=7)
        assert sorted(Task.objects.values_list("replication", flat=True)) == [1, 7]


class TestLeaseNext:
    def test_highest_priority_first_then_the_oldest(self, study):
        first, urgent, _last = (TaskFactory(study=study, priority=p) for p in (0, 5, 0))
        assert lease_next(rater=rater_of(study)).task == urgent
        assert lease_next(rater=rater_of(study)).task == first

    def test_never_a_task_of_another_study_a_full_or_a_withdrawn_one(self, study):
        TaskFactory()
        TaskFactory(study=study, withdrawn=True)
        TaskFactory(study=study, slots_taken=1)
        assert lease_next(rater=rater_of(study)) is None

    def test_nothing_for_a_former_member_or_in_a_paused_study(self, study):
        TaskFactory(study=study)
        assert lease_next(rater=MembershipFactory(study=study, active=False)) is None
        study.active = False
        study.save()
        assert lease_next(rater=rater_of(study)) is None

    def test_shows_every_response_once_in_an_order_that_varies(self, study):
        task = TaskFactory(study=study, k=3, replication=20)
        orders = [tuple(lease_next(rater=rater_of(study)).shown) for _ in range(20)]
        assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(r.pk for r in task.responses.all()))}
        assert len(set(orders)) > 1

    def test_never_the_same_task_twice(self, study):
        TaskFactory(study=study, replication=5)
        rater = rater_of(study)
        submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2]))
        assert lease_next(rater=rater) is None

    def test_a_lease_that_ran_out_goes_to_somebody_else(self, study):
        TaskFactory(study=study)
        mine = lease_next(rater=rater_of(study))
        assert lease_next(rater=rater_of(study)) is None
        let_run_out(mine)
        other = lease_next(rater=rater_of(study))
        assert other.task == mine.task
        assert slots(mine) == 1
        mine.refresh_from_db()
        assert mine.state == AssignmentState.RETURNED

    def test_a_rater_who_comes_back_sees_the_same_order(self, study):
        TaskFactory(study=study, k=6)
        rater = rater_of(study)
        first = lease_next(rater=rater)
        let_run_out(first)
        again = lease_next(rater=rater)
        assert (again.pk, again.shown) == (first.pk, first.shown)
        assert slots(again) == 1


class TestGiveBack:
    def test_frees_the_slot_once(self, study):
        TaskFactory(study=study)
        assignment = lease_next(rater=rater_of(study))
        release_lease(assignment=assignment)
        release_lease(assignment=assignment)
        assert slots(assignment) == 0

    def test_a_judged_task_stays_judged(self, study):
        TaskFactory(study=study)
        assignment = lease_next(rater=rater_of(study))
        submit(assignment=assignment, answer=Answer(ranks=[1, 1]))
        release_lease(assignment=assignment)
        assert slots(assignment) == 1
        assert Assignment.objects.get().state == AssignmentState.JUDGED


class TestSkip:
    def test_frees_the_slot_once_and_keeps_the_first_reason(self, study):
        TaskFactory(study=study)
        assignment = lease_next(rater=rater_of(study))
        skip(assignment=assignment, reason="unclear")
        skip(assignment=assignment, reason="again")
        assert slots(assignment) == 0
        assert Assignment.objects.get().skip_reason == "unclear"

    def test_after_the_lease_was_returned_it_still_counts_as_seen(self, study):
        TaskFactory(study=study)
        rater = rater_of(study)
        assignment = lease_next(rater=rater)
        release_lease(assignment=assignment)
        skip(assignment=assignment, reason="unclear")
        assert slots(assignment) == 0
        assert lease_next(rater=rater) is None

    @pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
    def test_needs_a_reason_that_fits(self, study, reason):
        TaskFactory(study=study)
        assignment = lease_next(rater=rater_of(study))
        with pytest.raises(PalateError):
            skip(assignment=assignment, reason=reason)
        assert slots(assignment) == 1


class TestALateAnswer:
    def test_is_taken_while_there_is_a_slot(self, study):
        TaskFactory(study=study)
        assignment = lease_next(rater=rater_of(study))
        release_lease(assignment=assignment)
        submit(assignment=assignment, answer=Answer(ranks=[2, 1]))
        assert slots(assignment) == 1
        assert Assignment.objects.get().state == AssignmentState.JUDGED

    def test_is_taken_when_the_lease_ran_out_and_nobody_asked_for_the_task(self, study):
        TaskFactory(study=study)
        assignment = lease_next(rater=rater_of(study))
        let_run_out(assignment)
        submit(assignment=assignment, answer=Answer(ranks=[2, 1]))
        assert slots(assignment) == 1

    def test_is_refused_when_the_task_is_full(self, study):
        TaskFactory(study=study)
        assignment = lease_next(rater=rater_of(study))
        let_run_out(assignment)
        submit(assignment=lease_next(rater=rater_of(study)), answer=Answer(ranks=[1, 2]))
        with pytest.raises(LeaseLost):
            submit(assignment=assignment, answer=Answer(ranks=[2, 1]))
        assert Judgement.objects.count() == 1

    def test_is_refused_when_the_task_was_withdrawn(self, study):
        task = TaskFactory(study=study)
        assignment = lease_next(rater=rater_of(study))
        release_lease(assignment=assignment)
        Task.objects.filter(pk=task.pk).update(withdrawn=True)
        with pytest.raises(LeaseLost):
            submit(assignment=assignment, answer=Answer(ranks=[2, 1]))
        assert slots(assignment) == 0
