"""Hostile texts in every field, then every page in a real browser: nothing runs, no request leaves."""

import csv
import io
import json

import pytest
from django.urls import reverse

from annotate.audit.operations import record
from annotate.collection.judgements import Answer, adjudicate, submit
from annotate.collection.leases import lease_next
from annotate.exchange.exporters import exports
from annotate.exchange.files.tables import FORMULA_STARTS, csv_lines
from annotate.members.operations import invite
from annotate.models.review import Flag
from annotate.models.tasks import Task
from tests.annotate.test_access import ANYBODY, MANAGERS, RATERS, address
from tests.browser.conftest import sign_in
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory
from tests.hostile import NAME, WHOLE
from training.models import ModelKind, ModelVersion, Round, Run, RunKind

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]
# Elements, handlers and links that only a hostile text could have made; the preview's frame has no scripts.
STRANGE = """() => {
    const inside = [...document.querySelectorAll("main *")];
    const foreign = "script, object, embed, style, link, meta, iframe:not([data-preview])";
    const elements = inside.filter(e => e.matches(foreign));
    const handlers = inside.filter(e => [...e.attributes].some(a => a.name.startsWith("on")));
    const links = [...document.querySelectorAll("a[href]")].filter(a => !/^(https?|mailto):/.test(a.href));
    return [...elements, ...handlers, ...links].map(e => e.outerHTML.slice(0, 200));
}"""


@pytest.fixture
def study():
    study = StudyFactory(
        slug="shop", name=NAME, description=WHOLE, instructions=WHOLE, instructions_version=1, consent=WHOLE,
        consent_version=1, content_warning=NAME, text_format="markdown", require_reading=False,
    )  # fmt: skip
    CriterionFactory(study=study, key="c", name=NAME, description=NAME, labels={"1": NAME, "5": NAME})
    for task in TaskFactory.create_batch(5, study=study, prompt__text=WHOLE, prompt__reference=WHOLE):
        for number, response in enumerate(task.responses.all()):
            response.text, response.author_name, response.external_id = f"{WHOLE}{number}", NAME, f"{NAME}{number}"
            response.save()
    policy = ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name=NAME, path="/m", card=WHOLE)
    Round.objects.create(study=study, number=1, policy=policy, against=policy)
    run = Run.objects.create(study=study, kind=RunKind.PRETRAIN, error=WHOLE, log_tail=WHOLE, config={"corpus": NAME})
    run.samples.create(step=1, prompt=WHOLE, response=WHOLE, reward=0.5)
    invite(study=study, days=3, tags=[NAME])
    return study


@pytest.fixture
def member(study):
    """Makes a signed-in member with a hostile name and hostile judgements."""

    def member(role):
        member = MembershipFactory(study=study, role=role, user__username=f"{NAME}{role}", tags=[NAME])
        member.consented_version = 1
        member.save()
        answer = Answer(ranks=[1, 2], comment=WHOLE[:9000], scores={"c": [1, 5]})
        submit(assignment=lease_next(rater=member), answer=answer)
        Flag.objects.create(task=lease_next(rater=member).task, rater=member, kind="unsafe", details=WHOLE[:400])
        return member

    return member


def test_nothing_runs_and_nothing_leaves(study, member, browser, quiet_server):
    rater, manager = member("rater"), member("manager")
    adjudicate(
        task=Task.objects.last(), expert=manager, answer=Answer(ranks=[1, 2], comment=NAME, scores={"c": [1, 2]}),
        shown=list(Task.objects.last().places.values_list("response_id", flat=True)),
    )  # fmt: skip
    record(study=study, user=manager.user, action="changed", subject=NAME, note=WHOLE)
    Task.objects.filter(pk=Task.objects.first().pk).update(withdrawn=True)
    pages = {rater: RATERS - {"rate-prefetch", "undo"} | ANYBODY, manager: MANAGERS - {"gold-retire"}}
    seen = 0
    for who, names in pages.items():
        context = browser.new_context(base_url=quiet_server.url)
        page = context.new_page()
        went_wrong = []
        page.on("dialog", lambda dialog, wrong=went_wrong: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error, wrong=went_wrong: wrong.append(str(error)))
        context.on(
            "request",
            lambda request, wrong=went_wrong: (
                wrong.append(request.url) if not request.url.startswith((quiet_server.url, "data:", "blob:")) else None
            ),
        )
        sign_in(context, who.user, quiet_server.url)
        for name in sorted(names):
            path = address(name, study, rater)
            answer = context.request.get(path, max_redirects=0)
            if answer.status != 200 or "text/html" not in answer.headers["content-type"]:
                continue
            page.goto(path, wait_until="load")
            page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
            assert page.evaluate(STRANGE) == [], name
            seen += 1
        assert went_wrong == []
        context.close()
    assert seen > 25


def test_exports_hold_the_texts_as_they_are_and_no_cell_is_a_formula(study, member):
    member("rater")
    for form in ("raw", "pairs", "rankings", "scores"):
        table = exports.table(study, form)
        rows = list(table.rows)
        assert rows
        assert any(WHOLE in map(str, row) for row in rows)
        text = b"".join(csv_lines(exports.table(study, form))).decode()
        for row in list(csv.reader(io.StringIO(text, newline="")))[1:]:
            assert not any(cell.startswith(FORMULA_STARTS[:-1]) and not number(cell) for cell in row)


def number(cell):
    try:
        return isinstance(json.loads(cell), int | float)
    except ValueError:
        return False


def test_the_join_page_shows_a_hostile_study_name_inert(study, browser, quiet_server):
    page = browser.new_context(base_url=quiet_server.url).new_page()
    output = []
    page.on("dialog", lambda dialog: (output.append(dialog.message), dialog.dismiss()))
    page.goto(reverse("join", args=[study.invitations.get().token]))
    assert page.locator("main img").count() == 0
    assert "onerror=alert(17)" in page.locator("main").inner_text()
    page.wait_for_timeout(200)
    assert output == []
