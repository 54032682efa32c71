"""Every page counts the same judgements: those of one selection, which it shows and lets the manager change."""

import itertools

import pytest

from annotate.analytics.selection import default_selection
from annotate.collection.leases import create_tasks
from annotate.models.choices import Kind, Part
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.selection import JudgementSelection, Who
from tests.annotate.nasty import BEGIN
from tests.factories import MembershipFactory, PromptFactory, ResponseFactory, StudyFactory
from training.models import ModelKind, ModelVersion, Round, Run, RunKind, RunState

pytestmark = pytest.mark.django_db

PROMPTS = 6
# How often two raters of the kind agree, and how often the tuned policy wins, among PROMPTS tasks: each rater's wins.
WINS = {Kind.IMPORTED: (6, 5), Kind.SIMULATED: (6, 1), Kind.MACHINE: (2, 0)}
PAGES = (
    "/studies/shop/",
    *(f"/studies/shop/{name}/" for name in ("quality", "quality/raters", "standings", "report", "rounds/1", "models")),
)


@pytest.fixture
def study():
    """A round on six prompts, judged by two raters of each kind, with repeats, an expert's decisions and rewrites."""
    study = StudyFactory(slug="shop", require_reading=False, replication=99)
    base, tuned = (
        ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name=name, path=f"/{name}")
        for name in ("base", "tuned")
    )
    tuned.run = Run.objects.create(study=study, kind=RunKind.RL_FINETUNE, state=RunState.DONE)
    tuned.save()
    turn = Round.objects.create(study=study, number=1, policy=tuned, against=base)
    for _ in range(PROMPTS):
        prompt = PromptFactory(study=study)
        pair = [ResponseFactory(prompt=prompt, author_model=author, author_name="") for author in (tuned, base)]
        create_tasks(study=study, response_sets=[pair], round=turn)
    for kind, wins in WINS.items():
        for number, won in enumerate(wins):
            rater = Membership.objects.create(study=study, external_id=f"{kind} {number}", kind=kind)
            _judge(study, rater, won)
            _judge(study, rater, PROMPTS - won, part=Part.REPEAT)
    expert = MembershipFactory(study=study, role="manager", user__username="ada")
    _judge(study, expert, 0, part=Part.ADJUDICATION)
    _judge(study, expert, 0, part=Part.REWRITE)
    return study


def _judge(study, rater, won, *, part=Part.VOTE):
    """The tuned policy's response, the first of each task, wins the first `won` tasks."""
    Judgement.objects.bulk_create(
        Judgement(
            task=task,
            rater=rater,
            part=part,
            shown=list(task.places.order_by("position").values_list("response_id", flat=True)),
            ranks=[1, 2] if number < won else [2, 1],
            unacceptable=[False, False],
            made_at=BEGIN,
        )
        for number, task in enumerate(study.tasks.order_by("id"))
    )


@pytest.fixture
def manager(client, study):
    client.force_login(study.memberships.get(user__username="ada").user)
    return client


def figures(manager, query):
    """The figures of each page that shows them, by name."""
    run = f"/runs/{Run.objects.get().pk}/"
    overview, quality, raters, standings, report, turn, models, run = (
        manager.get(page + query).context for page in (*PAGES, run)
    )
    return {
        "agreement": [
            overview["agreement"].value,
            *(_figure(page["figures"], "raw agreement").value for page in (quality, report)),
        ],
        "consistency": [
            overview["consistency"].value,
            *(_figure(page["figures"], "self-consistency").value for page in (quality, report)),
        ],
        "judgements": [
            overview["counts"].judgements,
            report["counts"].judgements,
            sum(row.answers for row, *_ in raters["rows"]),
            sum(part.votes for part in standings["found"].parts),
            overview["rounds"][0][1].judgements,
            turn["rate"].judgements,
            run["rounds"][0][1].judgements,
        ],
        "raters": [overview["counts"].raters, report["counts"].raters, len(raters["rows"])],
        "win rate": [
            overview["rounds"][0][1].value,
            models["rounds"][0][1].value,
            report["rounds"][0].rate.value,
            turn["rate"].value,
            run["rounds"][0][1].value,
        ],
    }


def _figure(figures, name):
    return next(figure for figure in figures if figure.name == name)


@pytest.mark.parametrize(
    ("query", "agreement", "judgements", "raters", "won"),
    [
        ("", 5 / 6, 12, 2, 11 / 12),
        ("?who=people&answers=vote", 5 / 6, 12, 2, 11 / 12),
        ("?who=simulated", 1 / 6, 12, 2, 7 / 12),
        ("?who=machine", 4 / 6, 12, 2, 2 / 12),
        ("?who=all", None, 36, 6, 20 / 36),
        ("?answers=adjudication", None, 6, 1, 0.0),
        ("?answers=rewrite", None, 6, 1, 0.0),
        ("?answers=repeat", 5 / 6, 12, 2, 1 / 12),
    ],
)
def test_all_pages_show_the_same_figures(manager, query, agreement, judgements, raters, won):
    shown = figures(manager, query)
    for name, values in shown.items():
        assert values == [pytest.approx(values[0])] * len(values), name
    assert shown["judgements"][0] == judgements
    assert shown["raters"][0] == raters
    assert shown["win rate"][0] == pytest.approx(won)
    if agreement is not None:
        assert shown["agreement"][0] == pytest.approx(agreement)


def test_every_page_shows_the_selection_and_offers_another(manager, study):
    rater = study.memberships.filter(kind=Kind.SIMULATED).first()
    for page in (*PAGES, "/studies/shop/quality/fairness/", f"/studies/shop/quality/raters/{rater.pk}/"):
        text = manager.get(page + "?who=simulated&answers=vote").content.decode()
        assert 'aria-current="true">simulated raters</a>' in text, page
        assert 'aria-current="true">votes</a>' in text, page
        assert "?who=machine&amp;answers=vote" in text, page
        assert "simulated raters, not of people" in text, page
        assert manager.get(page + "?who=nobody").status_code in (404, 422), page


def test_links_and_files_keep_the_selection(manager):
    text = manager.get("/studies/shop/quality/?who=machine").content.decode()
    assert "quality.csv?who=machine&amp;answers=vote" in text
    rows = manager.get("/studies/shop/quality.csv?who=machine").content.decode().splitlines()
    assert any("machine judges" in row and "0.666" in row for row in rows)


@pytest.mark.parametrize(
    ("removed", "who"),
    [
        ((), Who.PEOPLE),
        # The expert, a person, has decided tasks, but voted on none.
        ((Kind.IMPORTED,), Who.SIMULATED),
        ((Kind.IMPORTED, Kind.SIMULATED), Who.MACHINE),
        (tuple(Kind.values), Who.PEOPLE),
    ],
)
def test_people_come_first_and_simulated_raters_where_nobody_else_judged(study, removed, who):
    Judgement.objects.filter(rater__kind__in=removed).update(live=False)
    assert default_selection(study) == JudgementSelection(who=who)


def test_a_study_of_simulated_votes_says_so_before_anybody_asks(manager):
    Judgement.objects.filter(rater__kind=Kind.IMPORTED).update(live=False)
    for page in PAGES:
        assert "No person has voted here yet" in manager.get(page).content.decode(), page


def test_the_selections_do_not_overlap_and_miss_nothing(study):
    live = Judgement.objects.of_study(study)
    parts = [
        set(live.selected(JudgementSelection(who, part)).values_list("pk", flat=True))
        for who, part in itertools.product((Who.PEOPLE, Who.SIMULATED, Who.MACHINE), Part.values)
    ]
    assert sum(map(len, parts)) == len(set().union(*parts)) == live.count()
