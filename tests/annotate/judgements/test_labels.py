"""A label of the prompt beside ranks and scores, and how sure the rater is of it."""

import pytest
from django.db import IntegrityError, transaction

from annotate.analytics.agreement.labels import confusions
from annotate.analytics.reports.quality_report import label_table
from annotate.analytics.reports.study_data import StudyData
from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.exchange.exporters import exports
from annotate.models.judgements import Judgement
from annotate.web.rating.forms import AnswerForm
from core.errors import PalateError
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory(labels=["yes", "no", "perhaps"], ask_confidence=True, replication=3)


def say(study, labels, confidence=2):
    """One more rater's labels of the study's tasks, one a task."""
    rater = MembershipFactory(study=study)
    for label in labels:
        submit(
            assignment=lease_next(rater=rater),
            answer=Answer(ranks=[1, 2], label=label, confidence=label and confidence),
        )


def test_the_form_asks_for_both(study):
    form = AnswerForm({"preference": "tie"}, k=2, study=study)
    assert form.problems() == ["Choose a label.", "Say how sure you are of the label."]
    form = AnswerForm({"preference": "tie", "label": "no", "confidence": "3"}, k=2, study=study)
    assert form.is_valid()
    assert (form.answer(seconds=1).label, form.answer(seconds=1).confidence) == ("no", 3)


@pytest.mark.parametrize(("label", "sure"), [("never", 1), ("", 1), ("yes", 4)])
def test_what_does_not_fit_is_refused(study, label, sure):
    TaskFactory(study=study)
    assignment = lease_next(rater=MembershipFactory(study=study))
    with pytest.raises(PalateError, match="label"):
        submit(assignment=assignment, answer=Answer(ranks=[1, 2], label=label, confidence=sure))
    submit(assignment=assignment, answer=Answer(ranks=[1, 2], label="yes", confidence=1))
    fields = {name: getattr(Judgement.objects.get(), name) for name in ("task", "rater", "shown", "ranks", "made_at")}
    with pytest.raises(IntegrityError, match="confidence_of_a_label"), transaction.atomic():
        Judgement.objects.create(**fields, part="repeat", unacceptable=[False] * 2, confidence=1)


def test_agreement_class_by_class_by_hand(study):
    TaskFactory.create_batch(3, study=study)
    say(study, ["yes", "no", "yes"], confidence=1)
    say(study, ["yes", "no", "no"], confidence=3)
    say(study, ["yes", "perhaps", "no"], confidence=2)
    evidence = StudyData(study)
    lines = {line.name: line.figures for line in label_table(evidence).lines}
    # yes: prompts with 3, 0 and 1 of 3 votes: (6 + 0) of (6 + 2). no: (2 + 2) of (4 + 4). perhaps: none of 2.
    assert lines["yes"][0].value == pytest.approx(6 / 8)
    assert lines["no"][0].value == pytest.approx(4 / 8)
    assert lines["perhaps"][0].value == 0
    assert lines["yes"][1].value == pytest.approx((1 + 3 + 2 + 1) / 4)
    # Three coincidences of labels: observed 1/3 of the pairs within prompts, by Krippendorff's formula.
    assert lines["all labels"][0].value == pytest.approx(1 - (4 / 9) / (1 - (4 * 3 + 4 * 3) / (9 * 8)))
    assert confusions(evidence.labelled)[0] in [("no", "perhaps", 2), ("no", "yes", 2), ("yes", "no", 2)]


def test_known_labels_are_met_class_by_class(study):
    for label in ("yes", "no", "no"):
        set_known_answer(task=TaskFactory(study=study), purpose="gold", ranks=[1, 1], label=label)
    TaskFactory(study=study)
    study.gold_share = 1
    study.save()
    for _ in range(2):
        say(study, ["yes"] * 4)
    lines = {line.name: line.figures[-1] for line in label_table(StudyData(study)).lines}
    assert (lines["yes"].value, lines["yes"].n) == (1, 2)
    # Nobody chose it of the ordinary task, and still it stands there: raters miss it.
    assert (lines["no"].value, lines["no"].n) == (0, 4)
    # Known answers are no part of the agreement on labels.
    assert len(StudyData(study).labelled) == 2


def test_a_rater_counts_once_for_a_prompt_with_the_newest_label(study):
    task = TaskFactory(study=study)
    TaskFactory(study=study, prompt=task.prompt)
    say(study, ["yes", "no"])
    say(study, ["no", "no"])
    assert len(StudyData(study).labelled) == 2
    table = exports.table(study, "labels")
    (row,) = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert (row["label"], row["votes"], row["share"], row["raters"]) == ("no", {"no": 2}, 1, 2)


def test_equals_have_no_label(study):
    TaskFactory(study=study)
    say(study, ["yes"])
    say(study, ["no"])
    table = exports.table(study, "labels")
    (row,) = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert (row["label"], row["share"]) == (None, 0.5)
