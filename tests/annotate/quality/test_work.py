"""Disputes, self-consistency and the page on which managers watch the raters."""

from datetime import timedelta

import pytest
from django.urls import reverse

from annotate.analytics.agreement.self_consistency import self_consistency
from annotate.analytics.reports.disputes import Vote, agreement_of, disputes
from annotate.analytics.reports.rater_activity import work_of
from annotate.collection.flags import flag
from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import REPEAT_AFTER, lease_next, skip
from annotate.models.choices import Part
from annotate.models.judgements import Judgement
from annotate.models.selection import JudgementSelection
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory(slug="shop", replication=3)


def judge(rater, ranks=(1, 2), **answer):
    return submit(assignment=lease_next(rater=rater), answer=Answer(ranks=list(ranks), **answer))


class TestAgreementOfVotes:
    def test_by_hand(self):
        a, b, tie = (Vote([1, 2], ranks, {}) for ranks in ([1, 2], [2, 1], [1, 1]))
        assert agreement_of([a, a], {}) == 1
        assert agreement_of([a, b], {}) == 0
        assert agreement_of([a, a, b], {}) == pytest.approx(1 / 3)
        assert agreement_of([a, tie], {}) == 0

    def test_whatever_the_order_shown(self):
        assert agreement_of([Vote([1, 2], [1, 2], {}), Vote([2, 1], [2, 1], {})], {}) == 1

    def test_of_scores_is_their_closeness(self):
        one, other = Vote([1], None, {"clear": [5.0]}), Vote([1], None, {"clear": [2.0]})
        assert agreement_of([one, other], {"clear": 4.0}) == pytest.approx(0.25)


class TestDisputes:
    def test_worst_first_and_only_where_raters_disagree(self, study):
        tasks = TaskFactory.create_batch(3, study=study)
        answers = {
            tasks[0].pk: [[1, 2], [1, 2], [1, 2]],
            tasks[1].pk: [[1, 2], [1, 2], [2, 1]],
            tasks[2].pk: [[1, 2], [1, 1], [2, 1]],
        }
        for place in range(3):
            rater = MembershipFactory(study=study)
            for task in tasks:
                assignment = lease_next(rater=rater)
                order = list(task.places.values_list("response_id", flat=True))
                ranks = [answers[task.pk][place][order.index(pk)] for pk in assignment.shown]
                submit(assignment=assignment, answer=Answer(ranks=ranks))
        assert [(d.task, round(d.agreement, 2), d.raters) for d in disputes(study)] == [
            (tasks[2].pk, 0.0, 3),
            (tasks[1].pk, 0.33, 3),
        ]


class TestSelfConsistency:
    def test_says_how_often_the_second_answer_is_the_first(self, study):
        study.repeat_share = 1.0
        study.save()
        rater = MembershipFactory(study=study)
        TaskFactory.create_batch(REPEAT_AFTER + 2, study=study)
        for _ in range(REPEAT_AFTER + 1):
            judge(rater, [1, 2])
        judge(rater, [2, 1])  # the first task, its order reversed: the same preference
        judge(rater, [1, 2])  # the last task
        judge(rater, [1, 2])  # the second task, its order reversed: the other preference
        found = self_consistency(study, JudgementSelection())
        assert (found.value, found.pairs) == (0.5, 2)

    def test_without_repeats_there_is_none(self, study):
        assert self_consistency(study, JudgementSelection()).value is None


class TestWork:
    def test_counts_what_each_rater_did(self, study):
        known = TaskFactory(study=study, priority=9)
        set_known_answer(task=known, purpose="gold", ranks=[1, 2])
        TaskFactory.create_batch(4, study=study)
        rater, idle = MembershipFactory.create_batch(2, study=study)
        judge(rater, seconds=10)
        judge(rater, seconds=20)
        skip(assignment=lease_next(rater=rater), reason="unclear: which shop?")
        flag(assignment=lease_next(rater=rater), kind="unsafe")
        study.gold_share = 1.0
        study.save()
        rater.refresh_from_db()
        shown = lease_next(rater=rater)
        right = [list(known.places.values_list("response_id", flat=True)).index(pk) + 1 for pk in shown.shown]
        submit(assignment=shown, answer=Answer(ranks=right, seconds=90))
        found = work_of(study)
        (row,) = found.raters
        assert (row.member, row.now, row.day, row.hour, row.pace) == (rater, True, 3, 3, 20)
        assert (row.skips, row.flags, row.gold) == (1, 1, [True])
        assert (found.at_work, found.last_hour, found.open_flags) == (1, 3, 1)
        assert found.skips == [("The prompt is unclear", 1)]
        assert sum(n for _hour, n in found.hours) == 3
        assert idle not in [row.member for row in found.raters]

    def test_somebody_with_a_task_on_the_screen_is_at_work(self, study):
        TaskFactory(study=study)
        lease_next(rater=MembershipFactory(study=study))
        assert work_of(study).at_work == 1

    def test_the_page_and_its_piece(self, client, study):
        manager = MembershipFactory(study=study, role="manager")
        TaskFactory(study=study)
        client.force_login(manager.user)
        judge(MembershipFactory(study=study, user__username="grace"))
        for query, whole in (("", True), ("?part=1", False)):
            text = client.get(reverse("work", args=["shop"]) + query).content.decode()
            assert "grace" in text
            assert ("<html" in text) == whole

    def test_reads_the_repeats_of_a_day_and_none_before(self, study):
        study.repeat_share = 1.0
        study.save()
        rater = MembershipFactory(study=study)
        TaskFactory.create_batch(REPEAT_AFTER + 2, study=study)
        for ranks in [[1, 2]] * (REPEAT_AFTER + 1) + [[2, 1], [1, 2], [1, 2]]:
            judge(rater, ranks)
        assert sorted(work_of(study).raters[0].again) == [0.0, 1.0]
        first = Judgement.objects.filter(part=Part.REPEAT).earliest("pk")
        Judgement.objects.filter(pk=first.pk).update(live=False)
        old = {field.attname: getattr(first, field.attname) for field in Judgement._meta.concrete_fields}
        Judgement.objects.create(
            **{**old, "id": None, "submission": None, "made_at": first.made_at - timedelta(days=2)}
        )
        assert work_of(study).raters[0].again == [0.0]

    def test_does_not_ask_the_database_once_a_rater(self, study, django_assert_max_num_queries):
        TaskFactory.create_batch(3, study=study)
        for _ in range(8):
            judge(MembershipFactory(study=study))
        with django_assert_max_num_queries(20):
            work_of(study)
