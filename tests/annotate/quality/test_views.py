"""The pages about quality, from judgements in the database."""

import csv
import io
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from annotate.analytics.agreement import breakdowns
from annotate.analytics.reports import quality_report
from annotate.analytics.reports.study_data import StudyData
from annotate.collection.judgements import Answer, adjudicate, submit
from annotate.collection.leases import lease_next
from tests.annotate import nasty
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


def judge(study, rater, says, *, scores=None, seconds=None):
    """Let a rater judge every open task; says(best shown at place): the ranks."""
    while assignment := lease_next(rater=rater):
        places = [sorted(assignment.shown).index(pk) for pk in assignment.shown]
        ranks = [says[place] for place in places]
        given = {key: [values[place] for place in places] for key, values in (scores or {}).items()}
        submit(assignment=assignment, answer=Answer(ranks=ranks, scores=given, seconds=seconds))


@pytest.fixture
def study():
    """Five tasks in two groups; two raters agree on all of them, a third never does."""
    study = StudyFactory(slug="shop", require_reading=False, replication=3)
    for number in range(5):
        TaskFactory(study=study, prompt__group="tea" if number < 3 else "soup")
    for says in ([1, 2], [1, 2], [2, 1]):
        judge(study, MembershipFactory(study=study), says, seconds=30)
    return study


@pytest.fixture
def manager(client, study):
    member = MembershipFactory(study=study, role="manager")
    client.force_login(member.user)
    return client


def figures(study):
    return {number.name: number for number in quality_report.agreement_figures(StudyData(study))}


def test_the_page_tells_agreement_and_where_it_is_missing(manager, study):
    page = manager.get("/studies/shop/quality/").content.decode()
    assert figures(study)["raw agreement"].value == pytest.approx(1 / 3)
    assert figures(study)["raw agreement"].n == 15
    for words in ("0.33", "tea", "soup", "not yet, because no task with a known answer", "Left or right"):
        assert words in page


def test_by_group_and_week(study):
    groups = breakdowns.group_table(StudyData(study))
    assert [(line.name, line.figures[0].n) for line in groups.lines] == [("soup", 6), ("tea", 9)]
    weeks = breakdowns.week_table(StudyData(study))
    monday = timezone.now().date()
    monday -= timedelta(days=monday.weekday())
    assert [line.name for line in weeks.lines] == [str(monday)]


def test_agreement_with_an_experts_decision(study):
    task = study.tasks.first()
    shown = sorted(task.responses.values_list("pk", flat=True), reverse=True)
    expert = MembershipFactory(study=study, role="manager")
    adjudicate(task=task, expert=expert, shown=shown, answer=Answer(ranks=[2, 1]))
    found = figures(study)["agreement with the expert"]
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    # The expert's word is no vote of a rater.
    assert figures(study)["raw agreement"].n == 15


def test_agreement_with_an_expert_who_scores():
    """Two responses to a prompt, scored one by one: of four raters three order them as the expert does."""
    building = nasty.Building("scored", method="score", criteria={"clear": (1, 5, 1)}, raters=4)
    prompt, responses = building.prompt(["ada", "bob"])
    tasks = [building.task(prompt, [response]) for response in responses]
    for rater, given in enumerate([(1, 2), (2, 5), (1, 4), (3, 3)]):
        for task, response, score in zip(tasks, responses, given, strict=True):
            building.judge(task, rater, [response], scores={"clear": [float(score)]})
    study = building.done()
    expert = MembershipFactory(study=study, role="manager")
    for task, response, score in zip(tasks, responses, (2.0, 4.0), strict=True):
        adjudicate(task=task, expert=expert, shown=[response], answer=Answer(scores={"clear": [score]}))
    found = figures(study)["agreement with the expert"]
    assert (found.value, found.n) == (0.75, 4)


def test_rankings_and_scores_have_their_own_coefficients(client):
    study = StudyFactory(slug="rank", method="rank", require_reading=False, replication=2)
    CriterionFactory(study=study, key="clear", name="Clear")
    TaskFactory.create_batch(3, study=study, k=3)
    for says in ([1, 2, 3], [1, 2, 3]):
        judge(study, MembershipFactory(study=study), says, scores={"clear": [5.0, 3.0, 1.0]})
    assert figures(study)["Kendall's W"].value == pytest.approx(1)
    assert figures(study)["Krippendorff's α, ranks"].value == pytest.approx(1)
    (line,) = quality_report.criteria_table(StudyData(study)).lines
    assert (line.name, line.figures[0].value) == ("Clear", pytest.approx(1))
    client.force_login(MembershipFactory(study=study, role="owner").user)
    assert client.get("/studies/rank/quality/").status_code == 200


@pytest.mark.parametrize("method", ["compare", "score"])
def test_too_little_is_no_crash(client, method):
    study = StudyFactory(slug="new", method=method, require_reading=False, replication=1)
    client.force_login(MembershipFactory(study=study, role="owner").user)
    assert "nobody has judged anything" in client.get("/studies/new/quality/").content.decode()
    if method == "score":
        CriterionFactory(study=study, key="clear")
    TaskFactory(study=study, k=1 if method == "score" else 2)
    rater = MembershipFactory(study=study)
    if method == "score":
        submit(assignment=lease_next(rater=rater), answer=Answer(scores={"clear": [3.0]}))
    else:
        judge(study, rater, [1, 1])
    for path in ("quality/", "quality.csv", "quality/raters/", "quality/raters.csv", f"quality/raters/{rater.pk}/"):
        answer = client.get(f"/studies/new/{path}")
        assert answer.status_code == 200
        assert "nan" not in answer.content.decode().replace("nance", "").lower().split()


def test_the_file_holds_every_figure(manager):
    rows = list(csv.DictReader(io.StringIO(manager.get("/studies/shop/quality.csv").content.decode())))
    by = {(row["section"], row["row"]): row for row in rows}
    assert float(by["agreement", "raw agreement"]["value"]) == pytest.approx(1 / 3)
    assert "tasks" in by["agreement", "raw agreement"]["method"]
    assert by["agreement", "self-consistency"]["missing"].startswith("not yet")
    assert ("checks", "Left or right") in by
    assert manager.get("/studies/shop/quality.svg").content.startswith(b"<svg")
    assert manager.get("/studies/shop/quality.pdf").status_code == 404
    assert manager.get("/studies/shop/quality/?who=nobody").status_code == 404


def test_the_raters(manager, study):
    for _ in range(30):  # of few tasks nobody can tell, among so many remarks, a rater who never agrees from the others
        TaskFactory(study=study)
    for member, says in zip(
        study.memberships.filter(role="rater").order_by("pk"), ([1, 2], [1, 2], [2, 1]), strict=True
    ):
        judge(study, member, says, seconds=30)
    page = manager.get("/studies/shop/quality/raters/").content.decode()
    odd = study.memberships.filter(role="rater").order_by("pk").last()
    assert str(odd) in page
    rows = list(csv.DictReader(io.StringIO(manager.get("/studies/shop/quality/raters.csv").content.decode())))
    assert {row["rater"]: float(row["agreement"]) for row in rows}[odd.pseudonym] == 0
    one = manager.get(f"/studies/shop/quality/raters/{odd.pk}/").content.decode()
    assert "Agrees with others less than raters here usually do" in one
    # Without the odd one out, the other two agree on everything.
    assert "1.000" in one


def test_a_rater_of_another_study_is_not_found(manager):
    assert manager.get(f"/studies/shop/quality/raters/{MembershipFactory().pk}/").status_code == 404


def test_raters_who_only_score_have_a_pace_and_are_told_of_sameness(client):
    """Three raters score with some sense; a fourth gives every response a 3, too fast to have read it."""
    building = nasty.Building("scores", method="score", criteria={"clear": (1, 5, 1)}, raters=4)
    rng = np.random.default_rng(0)
    for number in range(40):
        prompt, (response,) = building.prompt(["ada"], sentences=[30])
        task = building.task(prompt, [response])
        for rater in range(4):
            score = 3.0 if rater == 3 else float(np.clip(1 + number % 5 + rng.integers(-1, 2), 1, 5))
            building.judge(task, rater, [response], scores={"clear": [score]}, seconds=1.0 if rater == 3 else 30.0)
    study = building.done()
    client.force_login(MembershipFactory(study=study, role="owner").user)
    rows = list(csv.DictReader(io.StringIO(client.get("/studies/scores/quality/raters.csv").content.decode())))
    assert [(row["answers"], row["seconds"], row["too_fast"]) for row in rows] == [
        *([("40", "30.0", "0.0")] * 3),
        ("40", "1.0", "1.0"),
    ]
    page = client.get(f"/studies/scores/quality/raters/{building.raters[3]}/").content.decode()
    assert "Gave the same answer 40 times in a row" in page
    assert "40 answers came before their texts could be read" in page
    # Without this rater scores agree better.
    assert "Krippendorff&#x27;s α, Clear" in page
    assert (
        "in a row"
        not in client.get(f"/studies/scores/quality/raters/{building.raters[0]}/")
        .content.decode()
        .split("In short")[1]
        .split("</ul>")[0]
    )
