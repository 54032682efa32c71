"""What a study's settings do to the hand-out: repeats, caps, audiences, pausing, ties."""

import pytest
from django.db import connection

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import REPEAT_AFTER, create_tasks, lease_next, release_lease, skip
from annotate.exchange.importers.prompts import import_prompts
from annotate.members.operations import set_tags
from annotate.models.choices import Part
from annotate.models.judgements import Judgement
from annotate.models.tasks import Task
from annotate.studies.operations import change_study, close_study, pause_study, reopen_study, resume_study
from core.errors import PalateError
from tests.factories import MembershipFactory, ResponseFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory(slug="shop", replication=1)


@pytest.fixture
def rater(study):
    return MembershipFactory(study=study)


def answer(rater, ranks=(1, 2)):
    return submit(assignment=lease_next(rater=rater), answer=Answer(ranks=list(ranks)))


class TestRepeats:
    @pytest.fixture
    def study(self):
        return StudyFactory(replication=1, repeat_share=1.0)

    def test_come_later_reversed_once_and_take_no_slot(self, study, rater):
        TaskFactory.create_batch(REPEAT_AFTER + 2, study=study)
        votes = [answer(rater) for _ in range(REPEAT_AFTER + 1)]
        repeat = lease_next(rater=rater)
        assert (repeat.part, repeat.task, repeat.shown) == (Part.REPEAT, votes[0].task, votes[0].shown[::-1])
        again = submit(assignment=repeat, answer=Answer(ranks=[2, 1]))
        assert again.part == Part.REPEAT
        assert Task.objects.get(pk=repeat.task_id).slots_taken == 1
        # The vote after it is old enough only once another one was given.
        assert lease_next(rater=rater).part == Part.VOTE

    def test_do_not_count_twice(self, study, rater):
        TaskFactory.create_batch(REPEAT_AFTER + 1, study=study)
        for _ in range(REPEAT_AFTER + 2):
            answer(rater)
        assert Judgement.objects.live().count() == REPEAT_AFTER + 2
        assert Judgement.objects.counted().count() == REPEAT_AFTER + 1

    def test_can_be_given_back_and_skipped_without_touching_the_votes_slot(self, study, rater):
        TaskFactory.create_batch(REPEAT_AFTER + 1, study=study)
        for _ in range(REPEAT_AFTER + 1):
            answer(rater)
        repeat = lease_next(rater=rater)
        release_lease(assignment=repeat)
        assert lease_next(rater=rater).pk == repeat.pk
        skip(assignment=repeat, reason="seen it")
        assert Task.objects.get(pk=repeat.task_id).slots_taken == 1


class TestCap:
    def test_stops_a_rater_and_nobody_else(self, study, rater):
        change_study(study=study, rater_cap=2)
        TaskFactory.create_batch(3, study=study)
        rater.refresh_from_db()
        answer(rater)
        answer(rater)
        assert lease_next(rater=rater) is None
        assert lease_next(rater=MembershipFactory(study=study)) is not None

    def test_tasks_that_are_held_count(self, study, rater):
        change_study(study=study, rater_cap=1)
        TaskFactory.create_batch(2, study=study)
        rater.refresh_from_db()
        first = lease_next(rater=rater)
        assert lease_next(rater=rater, beyond=[first.pk]) is None


class TestAudience:
    def test_a_rater_needs_all_tags_of_a_task(self, study, rater):
        task = TaskFactory(study=study, audience=["de", "medicine"])
        assert lease_next(rater=rater) is None
        set_tags(member=rater, tags=["de"])
        rater.refresh_from_db()
        assert lease_next(rater=rater) is None
        set_tags(member=rater, tags=["de", "fr", "medicine"])
        rater.refresh_from_db()
        assert lease_next(rater=rater).task == task

    @pytest.mark.parametrize("tags", [[], ["de"]])
    def test_open_tasks_are_found_and_counted_by_the_index(self, study, tags):
        """In a large study, whose every task is for everybody, neither may read more than it needs."""
        rater = MembershipFactory(study=study, tags=tags)
        prompt = TaskFactory(study=study).prompt
        Task.objects.bulk_create(
            Task(study=study, prompt=prompt, key=str(n), replication=9, slots_taken=9 * (n % 2)) for n in range(6000)
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE annotate_task")
        for count in (1, 1001):
            plan = Task.objects.open_to(rater).in_turn()[:count].explain()
            assert "task_open" in plan
            assert "Sort" not in plan

    def test_comes_with_the_prompts_of_a_file(self, study, tmp_path):
        file = tmp_path / "prompts.csv"
        file.write_text('text,audience\nWas ist das?,"de, medicine"\nWhat is this?,\n')
        import_prompts(slug="shop", file=file)
        for prompt in study.prompts.all():
            create_tasks(study=study, response_sets=[ResponseFactory.create_batch(2, prompt=prompt)])
        assert list(study.tasks.values_list("audience", flat=True)) == [["de", "medicine"], []]

    def test_a_json_file_may_hold_a_list(self, study, tmp_path):
        file = tmp_path / "prompts.jsonl"
        file.write_text('{"text": "Was ist das?", "audience": ["medicine", "de"]}\n')
        import_prompts(slug="shop", file=file)
        assert study.prompts.get().audience == ["de", "medicine"]

    @pytest.mark.parametrize("audience", ["[1]", '"' + "x" * 51 + '"', '["a", null]'])
    def test_what_is_no_tag_is_said(self, study, tmp_path, audience):
        file = tmp_path / "prompts.jsonl"
        file.write_text(f'{{"text": "Was ist das?", "audience": {audience}}}\n')
        with pytest.raises(PalateError, match="line 1, field audience"):
            import_prompts(slug="shop", file=file)
        assert not study.prompts.exists()


class TestState:
    def test_a_paused_study_hands_out_nothing_and_takes_what_is_on_the_screen(self, study, rater):
        TaskFactory.create_batch(2, study=study)
        held = lease_next(rater=rater)
        pause_study(study=study)
        other = MembershipFactory(study=study)
        assert lease_next(rater=other) is None
        assert submit(assignment=held, answer=Answer(ranks=[1, 2])).live
        resume_study(study=study)
        other.refresh_from_db()
        assert lease_next(rater=other) is not None

    def test_a_closed_study_must_be_opened_first(self, study, rater):
        TaskFactory(study=study)
        close_study(study=study)
        with pytest.raises(PalateError, match="open it again first"):
            resume_study(study=study)
        study.refresh_from_db()
        with pytest.raises(PalateError, match="it is closed"):
            change_study(study=study, active=True)
        rater.refresh_from_db()
        assert lease_next(rater=rater) is None
        reopen_study(study=study)
        rater.refresh_from_db()
        assert lease_next(rater=rater) is not None


class TestTies:
    def test_a_study_may_forbid_them(self, study, rater):
        change_study(study=study, allow_ties=False)
        TaskFactory(study=study)
        assignment = lease_next(rater=rater)
        with pytest.raises(PalateError, match="knows no ties"):
            submit(assignment=assignment, answer=Answer(ranks=[1, 1]))
        assert submit(assignment=assignment, answer=Answer(ranks=[1, 1], unacceptable=[True, True])).live
