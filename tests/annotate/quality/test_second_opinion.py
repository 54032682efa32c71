"""chrF against references, beside what raters say."""

import pytest
from django.urls import reverse

from annotate.analytics.reports.quality_report import opinion_table
from annotate.analytics.reports.second_opinion import opinion_of, widest_gaps
from annotate.analytics.reports.study_data import StudyData
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db
TEXTS = ("The train is late.", "The train was late.", "A ship sank.", "Xyz.")


def scored(scores):
    """Four translations of one reference with these scores."""
    study = StudyFactory(slug="translate", method="score", replication=1)
    CriterionFactory(study=study, key="adequacy", name="Adequacy")
    rater = MembershipFactory(study=study, role="owner")
    for text, score in zip(TEXTS, scores, strict=True):
        task = TaskFactory(study=study, k=1, prompt__reference="The train is late.")
        task.responses.update(text=text)
        submit(assignment=lease_next(rater=rater), answer=Answer(scores={"adequacy": [score]}))
    return study


def test_it_follows_raters_or_not():
    evidence = StudyData(scored([5, 4, 2, 1]))
    assert evidence.opinion.chrf.max() == 100
    (line,) = opinion_table(evidence).lines
    assert line.figures[0].value == pytest.approx(1)
    assert line.figures[0].n == 4


def test_where_they_part_most_comes_first(client):
    study = scored([1, 4, 3, 5])
    evidence = StudyData(study)
    assert opinion_table(evidence).lines[0].figures[0].value < 0
    first, *_rest = widest_gaps(evidence.opinion, evidence.scores("adequacy"))
    assert first[1:] == (1, pytest.approx(100))
    client.force_login(study.memberships.get().user)
    page = client.get(reverse("quality", args=["translate"])).content.decode()
    assert "A second opinion" in page
    assert "A ship sank." in page
    file = client.get(reverse("quality-file", args=["translate", "csv"])).content.decode()
    assert 'chrf,Adequacy,"Whether responses closer to the reference' in file


def test_it_prefers_what_is_closer_to_the_reference():
    study = StudyFactory(replication=1)
    for _ in range(2):
        task = TaskFactory(study=study, prompt__reference="The train is late.")
        for response, text in zip(task.responses.order_by("pk"), TEXTS[1:3], strict=True):
            response.text = text
            response.save()
    rater = MembershipFactory(study=study)
    for closer_wins in (True, False):
        assignment = lease_next(rater=rater)
        closer = min(assignment.shown)
        ranks = [1 if (pk == closer) == closer_wins else 2 for pk in assignment.shown]
        submit(assignment=assignment, answer=Answer(ranks=ranks))
    (line,) = opinion_table(StudyData(study)).lines
    assert (line.figures[0].value, line.figures[0].n) == (0.5, 2)


def test_without_references_there_is_none():
    study = StudyFactory()
    TaskFactory(study=study)
    submit(assignment=lease_next(rater=MembershipFactory(study=study)), answer=Answer(ranks=[1, 2]))
    assert not len(opinion_of(study))
    assert opinion_table(StudyData(study)).lines == []
