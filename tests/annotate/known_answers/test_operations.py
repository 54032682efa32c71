"""Known answers: made by experts, met by raters, and what follows from them."""

import pytest

from annotate.collection.flags import flag
from annotate.collection.gold import (
    FEWEST_GOLD,
    is_right,
    reinstate,
    results_of,
    retire_gold,
    set_known_answer,
    untouched,
)
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next, skip
from annotate.exchange.exporters.exports import pair_rows
from annotate.models.choices import Purpose, RaterStatus
from annotate.models.judgements import Judgement
from annotate.models.studies import GoldRule
from annotate.models.tasks import Task
from core.errors import PalateError
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db

RIGHT, WRONG = [1, 2], [2, 1]


def known(study, purpose=Purpose.GOLD, ranks=RIGHT, k=2):
    task = TaskFactory(study=study, k=k)
    set_known_answer(task=task, purpose=purpose, ranks=ranks)
    return task


def answer(rater, ranks):
    """Answer the next task with these ranks of its places, whatever the order shown."""
    return answer_to(lease_next(rater=rater), ranks)


def answer_to(assignment, ranks):
    places = list(assignment.task.places.values_list("response_id", flat=True))
    return submit(assignment=assignment, answer=Answer(ranks=[ranks[places.index(pk)] for pk in assignment.shown]))


@pytest.fixture
def study():
    return StudyFactory(replication=1, gold_share=1.0)


@pytest.fixture
def rater(study):
    return MembershipFactory(study=study)


class TestSetKnownAnswer:
    def test_takes_the_task_out_of_the_data_and_of_the_limit(self, study):
        task = known(study)
        for _ in range(3):
            answer(MembershipFactory(study=study), RIGHT)
        assert Judgement.objects.filter(task=task).count() == 3
        assert Judgement.objects.counted().count() == 0
        assert list(pair_rows(study)) == []

    def test_can_be_changed(self, study):
        task = known(study)
        set_known_answer(task=task, purpose=Purpose.QUIZ, ranks=WRONG)
        task.refresh_from_db()
        assert (task.purpose, task.known_answer.ranks) == (Purpose.QUIZ, WRONG)

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"purpose": "collect", "ranks": [1, 2]}, "for gold, quiz, practice or an example"),
            ({"purpose": "gold"}, "says nothing"),
            ({"purpose": "gold", "ranks": [1]}, "one rank or score for each of the 2"),
            ({"purpose": "gold", "scores": {"clear": [1]}}, "one rank or score for each of the 2"),
            ({"purpose": "gold", "label": "good"}, "no label “good”"),
        ],
    )
    def test_what_does_not_fit_is_said(self, study, fields, words):
        with pytest.raises(PalateError, match=words):
            set_known_answer(task=TaskFactory(study=study), **fields)

    def test_never_of_a_task_that_raters_have_begun(self, study, rater):
        task = TaskFactory(study=study)
        lease_next(rater=rater)
        with pytest.raises(PalateError, match="votes would be lost"):
            set_known_answer(task=task, purpose=Purpose.GOLD, ranks=RIGHT)
        assert Task.objects.get(pk=task.pk).purpose == Purpose.COLLECT

    def test_an_untouched_task_is_found_for_it(self, study, rater):
        begun, free = TaskFactory.create_batch(2, study=study)
        assert lease_next(rater=rater).task == begun
        assert untouched(study) == free
        known(study)
        Task.objects.filter(pk=free.pk).update(withdrawn=True)
        assert untouched(study) is None

    def test_taken_out_it_is_shown_no_more_and_its_answers_stay(self, study, rater):
        task = known(study)
        answer(rater, WRONG)
        retire_gold(task=task)
        assert lease_next(rater=MembershipFactory(study=study)) is None
        assert Judgement.objects.filter(task=task).count() == 1


class TestIsRight:
    def test_whatever_the_order_shown(self, study, rater):
        task = known(study)
        first, second = task.places.values_list("response_id", flat=True)
        assert is_right(task.known_answer, [first, second], Answer(ranks=[1, 2]))
        assert is_right(task.known_answer, [second, first], Answer(ranks=[2, 1]))
        assert not is_right(task.known_answer, [second, first], Answer(ranks=[1, 2]))

    def test_by_scores(self, study):
        CriterionFactory(study=study, key="clear")
        task = TaskFactory(study=study, k=1)
        set_known_answer(task=task, purpose=Purpose.GOLD, scores={"clear": [5]})
        shown = list(task.places.values_list("response_id", flat=True))
        assert is_right(task.known_answer, shown, Answer(scores={"clear": [4]}))
        assert not is_right(task.known_answer, shown, Answer(scores={"clear": [2]}))

    def test_by_label_as_long_as_the_study_has_it(self):
        study = StudyFactory(labels=["good", "bad"])
        task = TaskFactory(study=study)
        known = set_known_answer(task=task, purpose=Purpose.GOLD, label="good")
        shown = list(task.places.values_list("response_id", flat=True))
        assert is_right(known, shown, Answer(ranks=[2, 1], label="good"))
        assert not is_right(known, shown, Answer(ranks=[1, 2], label="bad"))
        assert not is_right(known, shown, Answer(ranks=[1, 2]))
        known.task.study.labels = ["bad"]
        assert is_right(known, shown, Answer(ranks=[1, 2], label="bad"))

    def test_order_and_label_must_both_be_right(self):
        study = StudyFactory(labels=["good", "bad"])
        task = TaskFactory(study=study)
        known = set_known_answer(task=task, purpose=Purpose.GOLD, ranks=RIGHT, label="good")
        shown = list(task.places.values_list("response_id", flat=True))
        assert is_right(known, shown, Answer(ranks=RIGHT, label="good"))
        assert not is_right(known, shown, Answer(ranks=WRONG, label="good"))
        assert not is_right(known, shown, Answer(ranks=RIGHT, label="bad"))


class TestGold:
    def fail(self, study, rater, times=FEWEST_GOLD):
        for _ in range(times):
            known(study)
        for _ in range(times):
            answer(rater, WRONG)
        rater.refresh_from_db()

    def test_comes_in_its_share(self, study, rater):
        TaskFactory(study=study)
        gold = known(study)
        assert lease_next(rater=rater).task == gold
        study.gold_share = 0.0
        study.save()
        assert lease_next(rater=MembershipFactory(study=study)).task != gold

    def test_a_few_wrong_answers_say_nothing_yet(self, study, rater):
        self.fail(study, rater, times=FEWEST_GOLD - 1)
        assert rater.status == RaterStatus.GOOD

    def test_enough_right_answers_leave_the_rater_alone(self, study, rater):
        for _ in range(FEWEST_GOLD):
            known(study)
            answer(rater, RIGHT)
        rater.refresh_from_db()
        assert rater.status == RaterStatus.GOOD
        assert results_of(rater, Purpose.GOLD) == [True] * FEWEST_GOLD

    @pytest.mark.parametrize(
        ("rule", "status", "goes_on"),
        [
            (GoldRule.WARN, RaterStatus.WARNED, True),
            (GoldRule.PAUSE, RaterStatus.PAUSED, False),
            (GoldRule.EXCLUDE, RaterStatus.EXCLUDED, False),
        ],
    )
    def test_the_studys_rule_is_kept(self, study, rater, rule, status, goes_on):
        study.gold_rule = rule
        study.save()
        self.fail(study, rater)
        TaskFactory(study=study)
        assert rater.status == status
        assert (lease_next(rater=rater) is not None) == goes_on

    def test_the_votes_of_an_excluded_rater_stay_and_do_not_count(self, study, rater):
        study.gold_rule = GoldRule.EXCLUDE
        study.save()
        TaskFactory(study=study)
        answer(rater, RIGHT)
        assert Judgement.objects.counted().count() == 1
        self.fail(study, rater)
        assert Judgement.objects.counted().count() == 0
        assert Judgement.objects.live().filter(rater=rater, task__purpose=Purpose.COLLECT).count() == 1

    def test_a_manager_lets_the_rater_go_on_with_a_clean_slate(self, study, rater):
        study.gold_rule = GoldRule.PAUSE
        study.save()
        self.fail(study, rater)
        reinstate(rater=rater)
        rater.refresh_from_db()
        assert (rater.status, results_of(rater, Purpose.GOLD)) == (RaterStatus.GOOD, [])
        TaskFactory(study=study)
        assert lease_next(rater=rater) is not None


class TestQuiz:
    @pytest.fixture
    def quiz(self, study):
        TaskFactory(study=study)
        return [known(study, Purpose.QUIZ) for _ in range(2)]

    def test_comes_first_and_once(self, quiz, rater):
        assert [answer(rater, RIGHT).task for _ in quiz] == quiz
        rater.refresh_from_db()
        assert rater.quiz_passed is True
        assert lease_next(rater=rater).task.purpose == Purpose.COLLECT

    def test_whoever_fails_gets_nothing_until_a_manager_agrees(self, quiz, rater):
        for _ in quiz:
            answer(rater, WRONG)
        rater.refresh_from_db()
        assert rater.quiz_passed is False
        assert lease_next(rater=rater) is None
        reinstate(rater=rater)
        rater.refresh_from_db()
        assert lease_next(rater=rater).task.purpose == Purpose.COLLECT

    def test_the_share_that_must_be_right_is_the_studys(self, study, quiz, rater):
        study.quiz_minimum = 0.5
        study.save()
        answer(rater, WRONG)
        answer(rater, RIGHT)
        rater.refresh_from_db()
        assert rater.quiz_passed is True

    def test_is_graded_on_answers_whatever_was_fetched_ahead(self, quiz, rater):
        on_screen = lease_next(rater=rater)
        ahead = lease_next(rater=rater, beyond=[on_screen.pk])
        answer_to(on_screen, RIGHT)
        rater.refresh_from_db()
        assert rater.quiz_passed is None
        answer_to(ahead, WRONG)
        rater.refresh_from_db()
        assert rater.quiz_passed is False

    def test_nothing_comes_before_the_last_question_is_answered(self, quiz, rater):
        held = [lease_next(rater=rater)]
        held.append(lease_next(rater=rater, beyond=[held[0].pk]))
        assert lease_next(rater=rater, beyond=[one.pk for one in held]) is None
        rater.refresh_from_db()
        assert rater.quiz_passed is None

    @pytest.mark.parametrize("leave", ["skip", "flag"])
    @pytest.mark.parametrize("last", [True, False])
    def test_a_question_that_is_left_out_counts_as_wrong(self, study, quiz, rater, leave, last):
        leave_out = {
            "skip": lambda one: skip(assignment=one, reason="unclear"),
            "flag": lambda one: flag(assignment=one, kind="unsafe"),
        }
        for n, _task in enumerate(quiz):
            if (n == 1) == last:
                leave_out[leave](lease_next(rater=rater))
            else:
                answer(rater, RIGHT)
        rater.refresh_from_db()
        assert rater.quiz_passed is False
        other = MembershipFactory(study=study)
        study.quiz_minimum = 0.5
        study.save()
        leave_out[leave](lease_next(rater=other))
        answer(other, RIGHT)
        other.refresh_from_db()
        assert other.quiz_passed is True

    def test_whoever_skips_all_of_it_fails_and_can_be_reinstated(self, quiz, rater):
        for _ in quiz:
            skip(assignment=lease_next(rater=rater), reason="unclear")
        rater.refresh_from_db()
        assert rater.quiz_passed is False
        reinstate(rater=rater)
        rater.refresh_from_db()
        assert lease_next(rater=rater).task.purpose == Purpose.COLLECT

    def test_a_question_taken_out_after_the_others_were_answered_locks_nobody_out(self, quiz, rater):
        answer(rater, RIGHT)
        retire_gold(task=quiz[1])
        assert lease_next(rater=rater).task.purpose == Purpose.COLLECT
        rater.refresh_from_db()
        assert rater.quiz_passed is True

    def test_questions_for_another_audience_are_none_of_the_rater(self, study, quiz, rater):
        Task.objects.filter(pk__in=[task.pk for task in quiz]).update(audience=["de"])
        assert lease_next(rater=rater).task.purpose == Purpose.COLLECT

    def test_a_flag_takes_no_known_answer_out(self, study, quiz, rater):
        flag(assignment=lease_next(rater=rater), kind="unsafe")
        assert lease_next(rater=MembershipFactory(study=study)).task == quiz[0]
        gold = known(study)
        Task.objects.filter(purpose=Purpose.QUIZ).update(withdrawn=True)
        flag(assignment=lease_next(rater=MembershipFactory(study=study)), kind="unsafe")
        assert not Task.objects.get(pk=gold.pk).withdrawn
