"""The page of standings and its files, from judgements in the database."""

import csv
import io

import numpy as np
import pytest

from annotate.analytics.columns import comparisons_of, ranks_of, scores_of
from annotate.analytics.comparisons import compared
from annotate.analytics.ranking import bradley_terry
from annotate.analytics.ranking.votes_of_study import Selection, ranking_input, read, standings_of
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.exchange.importers.judgements import import_judgements
from annotate.models.judgements import Judgement
from annotate.models.studies import Study
from tests.annotate import nasty
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    """Six tasks: in four "strong" beats "weak", in one it loses, in one they tie."""
    study = StudyFactory(slug="shop", require_reading=False, replication=1)
    rater = MembershipFactory(study=study)
    for outcome in (1, 1, 1, 1, 0, 0.5):
        task = TaskFactory(study=study)
        best = task.responses.order_by("pk").first()
        task.responses.filter(pk=best.pk).update(author_name="strong")
        task.responses.exclude(pk=best.pk).update(author_name="=weak")
        assignment = lease_next(rater=rater)
        ranks = {1: [1, 2], 0: [2, 1], 0.5: [1, 1]}[outcome]
        ranks = [ranks[0 if pk == best.pk else 1] for pk in assignment.shown]
        submit(assignment=assignment, answer=Answer(ranks=ranks))
    return study


@pytest.fixture
def manager(client, study):
    client.force_login(MembershipFactory(study=study, role="manager").user)
    return client


def test_the_page_ranks_authors(manager):
    page = manager.get("/studies/shop/standings/").content.decode()
    assert page.index("strong") < page.index("=weak")
    assert "Votes: 6; tasks: 6" in page
    # log(4/1), halved between the two: Davidson's strengths without what ties take.
    assert "0.69" in page


def test_a_selection_that_does_not_exist_is_refused(manager):
    for query in ("model=elo", "criterion=none", "prompt=0", "model=plackett-luce&controls=length"):
        assert manager.get(f"/studies/shop/standings/?{query}").status_code == 422
        assert manager.get(f"/studies/shop/standings.csv?{query}").status_code == 422


def test_the_files(manager):
    rows = list(csv.DictReader(io.StringIO(manager.get("/studies/shop/standings.csv").content.decode())))
    assert [(row["rank"], row["author"], row["votes"]) for row in rows] == [
        ("1", "strong", "6.0"),
        ("2", "'=weak", "6.0"),
    ]
    picture = manager.get("/studies/shop/standings.svg")
    assert picture["Content-Type"].startswith("image/svg+xml")
    assert b"<title>strong</title>" in picture.content
    assert manager.get("/studies/shop/standings.exe").status_code == 404
    assert manager.get("/studies/shop/standings.svg?part=2").status_code == 404


def test_votes_weigh_as_much_as_their_raters_are_reliable(client, db):
    """Three raters agree that ada is better; a fourth names one of the two by lot."""
    rng = np.random.default_rng(0)
    coin = rng.random(60) < 0.5
    study = nasty.pairs("coin", lambda task, rater, first: float(coin[task]) if rater == 3 else 1.0, tasks=60, raters=4)
    strengths = []
    for reliability in (False, True):
        selection = Selection(reliability=reliability)
        ballot = ranking_input(study, selection, read(study, selection))
        strengths.append(standings_of(study, selection, ballot).parts[0].places[0].strength)
    assert strengths[1] > strengths[0] + 0.3
    weights = sorted(ballot.rater_weight.values())
    assert weights[0] < 0.2 < 1 < weights[1]
    client.force_login(MembershipFactory(study=study, role="owner").user)
    assert "Votes weigh as far as" in client.get("/studies/coin/standings/?weights=reliability").content.decode()
    assert client.get("/studies/coin/standings/?weights=beauty").status_code == 422


def test_a_study_that_only_scores_is_ranked_by_its_first_scale(client, db):
    study = nasty.seven_criteria(prompts=10)
    client.force_login(MembershipFactory(study=study, role="owner").user)
    page = client.get("/studies/seven/standings/").content.decode()
    assert page.index("cyd") < page.index("bob") < page.index("ada")
    assert "No standings yet" not in page
    # Whole rankings of what one rater scored of a prompt, one response after another.
    whole = client.get("/studies/seven/standings/?model=plackett-luce").content.decode()
    assert whole.index("cyd") < whole.index("bob") < whole.index("ada")
    assert "Chance of the first" in client.get("/studies/seven/quality/fairness/").content.decode()


def test_an_empty_study_says_why(client):
    study = StudyFactory(slug="new")
    client.force_login(MembershipFactory(study=study, role="owner").user)
    assert "no two responses have been compared" in client.get("/studies/new/standings/").content.decode()
    assert client.get("/studies/new/standings.csv").status_code == 200
    assert client.get("/studies/new/standings.svg").status_code == 404


def test_comparisons_in_sql_are_those_of_the_ranks(study):
    judgements = Judgement.objects.counted().of_study(study)
    in_sql, by_hand = comparisons_of(judgements), compared(ranks_of(judgements))
    order = np.argsort(in_sql.judgement)
    for name in ("judgement", "task", "prompt", "rater", "first", "second", "outcome", "size", "at"):
        assert getattr(in_sql, name)[order].tolist() == getattr(by_hand, name).tolist()


def test_scores_given_one_by_one_are_compared_within_a_rater_and_a_prompt(db):
    study = StudyFactory(method="score", require_reading=False, replication=2)
    CriterionFactory(study=study, key="clear")
    first = TaskFactory(study=study, k=1)
    TaskFactory(study=study, k=1, prompt=first.prompt)
    TaskFactory(study=study, k=1)
    for score in (1.0, 3.0):
        rater = MembershipFactory(study=study)
        while assignment := lease_next(rater=rater):
            newest = assignment.task.pk - first.pk
            submit(assignment=assignment, answer=Answer(scores={"clear": [score + newest]}))
    found = compared(scores_of(Judgement.objects.counted().of_study(study), "clear"))
    assert (len(found), set(found.outcome), set(found.size)) == (2, {0.0}, {1})
    assert set(found.cluster) == {-first.prompt_id}


def shared_study(shared, name):
    folder = shared / "data" / name
    files = {part: folder / f"{part}.jsonl.gz" for part in ("prompts", "responses", "judgements")}
    import_judgements(slug=name, **files)
    return Study.objects.get(slug=name)


def test_summaries_equal_choix(shared):
    choix = pytest.importorskip("choix")
    study = shared_study(shared, "summaries")
    selection = Selection(model="bradley-terry")
    ballot = ranking_input(study, selection, read(study, selection))
    found = standings_of(study, selection, ballot)
    assert [place.name for place in found.parts[0].places] == ["human", "bart-dpr", "bart"]
    decided = ballot.comparisons.decided
    won = [
        (a, b) if y else (b, a)
        for a, b, y in zip(*(getattr(ballot.votes, x)[decided] for x in ("left", "right", "outcome")), strict=True)
    ]
    fit = bradley_terry.fit(ballot.votes)
    assert fit.strengths == pytest.approx(choix.mm_pairwise(3, won, tol=1e-12), abs=1e-6)


def test_a_study_that_only_simulated_raters_judged_shows_theirs_and_says_so(client, study):
    """Its owner is a person, who has judged nothing."""
    study.memberships.update(kind="simulated", user=None, external_id="simulated 1")
    client.force_login(MembershipFactory(study=study, role="owner").user)
    page = client.get(f"/studies/{study.slug}/standings/").content.decode()
    assert "simulated raters, not of people" in page
    assert "strong" in page
    assert "No standings yet" not in page
