"""What the database itself refuses, whoever writes."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from annotate.collection.leases import lease_next
from annotate.models.choices import AssignmentState
from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment, Task, TaskResponse
from annotate.studies.operations import erase_study
from tests.factories import CriterionFactory, MembershipFactory, ResponseFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    study = StudyFactory()
    CriterionFactory(study=study, key="clear", minimum=1, maximum=5)
    return study


def fields(study, *, k=2, **changes):
    """What a raw insert of a good judgement of a new task says, with some of it changed."""
    task = TaskFactory(study=study, k=k)
    return {
        "task": task,
        "rater": MembershipFactory(study=study),
        "shown": [response.pk for response in task.responses.all()],
        "ranks": list(range(1, k + 1)),
        "scores": {"clear": [3] * k},
        "unacceptable": [False] * k,
        "made_at": timezone.now(),
        **changes,
    }


def refused(values):
    with pytest.raises(IntegrityError), transaction.atomic():
        Judgement.objects.bulk_create([Judgement(**values)])
    return True


def test_a_good_one_is_taken(study):
    Judgement.objects.bulk_create([Judgement(**fields(study, k=3))])
    assert Judgement.objects.count() == 1


def test_the_responses_of_a_judged_task_stay(study):
    task = TaskFactory(study=study, k=2)
    place = TaskResponse.objects.filter(task=task)[0]
    TaskResponse.objects.filter(pk=place.pk).update(position=7)  # nobody has judged it yet
    Judgement.objects.create(**fields(study) | {"task": task, "shown": [r.pk for r in task.responses.all()]})
    other = ResponseFactory(prompt=task.prompt)
    changes = (
        lambda: TaskResponse.objects.filter(pk=place.pk).update(response=other),
        lambda: TaskResponse.objects.filter(pk=place.pk).delete(),
        lambda: TaskResponse.objects.create(task=task, response=other, position=9),
    )
    for change in changes:
        with pytest.raises(IntegrityError, match="was judged"), transaction.atomic():
            change()


def test_the_scale_of_scores_that_were_given_stays_or_grows(study):
    criterion = study.criteria.filter(key="clear")
    criterion.update(minimum=2)
    criterion.update(minimum=1)
    Judgement.objects.create(**fields(study))
    criterion.update(maximum=7)
    for change in ({"maximum": 5}, {"minimum": 2}, {"key": "other"}):
        with pytest.raises(IntegrityError, match="scores of clear were given"), transaction.atomic():
            criterion.update(**change)
    with pytest.raises(IntegrityError, match="scores of clear were given"), transaction.atomic():
        criterion.delete()
    erase_study(study=study)


@pytest.mark.parametrize("ranks", [[1], [1, 3], [2, 3], [0, 1], [1, 2, 3], [2, 2]])
def test_ranks_are_a_dense_weak_order(study, ranks):
    assert refused(fields(study, ranks=ranks))


def test_shown_is_exactly_the_responses_of_the_task(study):
    good = fields(study)
    foreign = ResponseFactory(prompt=good["task"].prompt)
    assert refused(good | {"shown": [good["shown"][0], foreign.pk]})
    assert refused(good | {"shown": [good["shown"][0]] * 2})
    assert refused(good | {"shown": good["shown"][:1], "ranks": [1], "unacceptable": [False], "scores": {}})


@pytest.mark.parametrize(
    "scores",
    [
        {"clear": [0, 3]},
        {"clear": [3, 5.01]},
        {"clear": [3]},
        {"clear": ["3", 3]},
        {"clear": 3},
        {"clear": [None, 3]},
        {"x": [3, 3]},
    ],
)
def test_scores_are_one_a_response_and_on_the_scale(study, scores):
    assert refused(fields(study, scores=scores))


@pytest.mark.parametrize(
    "changes",
    [
        {"unacceptable": [False]},
        {"ranks": None, "scores": {}},
        {"strength": 4},
        {"strength": 0},
        {"ranks": None, "strength": 1},
        {"seconds": -1},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"part": "opinion"},
    ],
)
def test_other_nonsense(study, changes):
    assert refused(fields(study, **changes))


def test_strength_is_for_two_responses(study):
    assert refused(fields(study, k=3, strength=1))


def test_a_rater_of_another_study(study):
    assert refused(fields(study, rater=MembershipFactory()))


def test_a_second_live_judgement_of_a_rater_on_a_task(study):
    good = fields(study)
    Judgement.objects.create(**good)
    assert refused(good)


def test_a_judgement_is_never_changed(study):
    made = Judgement.objects.create(**fields(study))
    for changes in ({"comment": "other"}, {"ranks": [2, 1]}, {"live": False, "comment": "other"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Judgement.objects.filter(pk=made.pk).update(**changes)
    Judgement.objects.filter(pk=made.pk).update(live=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        Judgement.objects.filter(pk=made.pk).update(live=True)


def test_a_judgement_is_never_removed(study):
    made = Judgement.objects.create(**fields(study))
    with pytest.raises(IntegrityError), transaction.atomic():
        Judgement.objects.filter(pk=made.pk)._raw_delete("default")
    assert Judgement.objects.filter(pk=made.pk).exists()


def test_only_a_whole_study_is_erased(study):
    Judgement.objects.create(**fields(study))
    erase_study(study=study)
    assert not Judgement.objects.exists()


def test_slots_never_exceed_the_replication(study):
    task = TaskFactory(study=study)
    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.filter(pk=task.pk).update(slots_taken=F("replication") + 1)


def test_a_rater_has_one_assignment_a_task_and_a_skip_has_a_reason(study):
    TaskFactory(study=study)
    assignment = lease_next(rater=MembershipFactory(study=study))
    with pytest.raises(IntegrityError), transaction.atomic():
        Assignment.objects.filter(pk=assignment.pk).update(state=AssignmentState.SKIPPED)
    assignment.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        assignment.save(force_insert=True)


def test_an_answer_has_one_live_rewrite(study):
    vote = Judgement.objects.create(**fields(study))
    first = Judgement.objects.create(**fields(study, part="rewrite", source=vote, rater=vote.rater))
    assert refused(fields(study, part="rewrite", source=vote, rater=vote.rater))
    Judgement.objects.filter(pk=first.pk).update(live=False)
    Judgement.objects.create(**fields(study, part="rewrite", source=vote, rater=vote.rater))
