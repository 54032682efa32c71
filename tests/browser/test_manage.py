"""A manager's way through the pages, and axe on each of them."""

import pytest

from annotate.collection.flags import flag
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.members.operations import invite
from tests.annotate.test_access import ANYBODY, MAKERS, MANAGERS, OWN, RATERS, address
from tests.browser.test_accessibility import STILL, check
from tests.factories import MembershipFactory, TaskFactory
from training.models import ModelKind, ModelVersion, Round, Run, RunKind, RunPoint, RunState

pytestmark = pytest.mark.browser


@pytest.fixture
def study(user):
    owner = MembershipFactory(user=user, role="owner")
    TaskFactory.create_batch(4, study=owner.study)
    submit(assignment=lease_next(rater=owner), answer=Answer(ranks=[1, 1]))
    other = MembershipFactory(study=owner.study)
    submit(assignment=lease_next(rater=other), answer=Answer(ranks=[1, 2]))
    flag(assignment=lease_next(rater=other), kind="unsafe", details="x" * 200)
    invite(study=owner.study, days=3, tags=["de"])
    return owner.study


@pytest.fixture
def maker(user):
    """Somebody who may make the first study."""
    user.is_superuser = True
    user.save()
    return user


def a_run(study):
    run = Run.objects.create(
        study=study, kind=RunKind.RL_FINETUNE, state=RunState.RUNNING, step=1, total_steps=4, log_tail="first line\n"
    )
    run.points.create(step=1, values={"reward": 0.5})
    run.points.create(step=2, values={"reward": 0.7})
    run.samples.create(step=1, prompt="What?", response="word " * 40, reward=0.1)
    for prompt in ("a", "b", "c", "d"):
        run.samples.create(step=4, prompt=prompt, before="word " * 40, response="words " * 40, reward=0.1)
    return run


@pytest.mark.slow
def test_axe_on_every_page(open_page, client, user, study):
    """As the owner, who rates, too. A page that is new is looked at without being named here."""
    owner = user.memberships.get()
    lease_next(rater=owner)
    policy = ModelVersion.objects.create(study=study, kind=ModelKind.POLICY, name="m" * 60, path="/m", card="# Card")
    Round.objects.create(study=study, number=1, policy=policy)
    for _ in range(2):
        a_run(study)
    client.force_login(user)
    base = f"/studies/{study.slug}"
    addresses = [address(name, study, owner) for name in sorted(ANYBODY | MAKERS | RATERS | OWN | MANAGERS)]
    addresses += [f"{base}/runs/new/{kind}/" for kind in ("train_preference", "rl_finetune")]
    pages = [one for one in addresses if is_page(client.get(one))]
    assert {f"{base}/", f"{base}/rate/", f"{base}/settings/", f"{base}/rounds/1/"} <= set(pages)
    page = open_page("/studies/new/?template=translation", user=user, **STILL)
    check(page)
    page.get_by_role("button", name="Create study").click()
    for one in pages:
        page.goto(one)
        page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        check(page)
    page.context.clear_cookies()
    page.goto(f"/join/{study.invitations.get().token}/")
    check(page)


def is_page(answer):
    return answer.status_code == 200 and answer["Content-Type"].startswith("text/html")


def test_all_but_the_worst_texts_of_a_tuning_are_folded_away_and_printed(open_page, user, study):
    run = a_run(study)
    run.samples.all().delete()
    for n in range(20):
        run.samples.create(step=4, prompt=f"Prompt {n}.", before="before " * 30, response="after " * 30, reward=n)
    Run.objects.filter(pk=run.pk).update(state=RunState.DONE)
    page = open_page(f"/runs/{run.pk}/", user=user, java_script_enabled=False)
    seen = page.locator("article h3").filter(visible=True)
    assert seen.all_inner_texts() == ["Prompt 0.", "Prompt 1.", "Prompt 2."]
    page.emulate_media(media="print")
    assert seen.count() == 20
    page.emulate_media(media="screen")
    page.get_by_text("17 more prompts").focus()
    page.keyboard.press("Enter")
    assert seen.count() == 20


def test_axe_on_what_does_not_work(open_page, user, monkeypatch):
    page = open_page("/nothing/", user=user, **STILL)
    for path, status in (("/nothing/", 404), ("/", 500), ("/login/", 403)):
        if status == 500:
            monkeypatch.setattr("annotate.web.studies.list_views.memberships_of", None)
        if status == 403:
            page.goto("/nothing/")
            page.context.clear_cookies(name="csrftoken")
            with page.expect_navigation() as navigation:
                page.get_by_role("button", name="Sign out").click()
            assert navigation.value.status == status
        else:
            assert page.goto(path).status == status
        check(page)


def test_a_study_is_made_and_opened(open_page, maker):
    page = open_page("/", user=maker)
    page.get_by_role("link", name="New study").click()
    page.get_by_label("Name", exact=False).first.fill("Kind answers")
    page.get_by_label("Short name").fill("kind")
    page.get_by_role("button", name="Create study").click()
    page.get_by_role("heading", name="No prompts yet").wait_for()
    page.get_by_role("link", name="Import prompts").click()
    page.get_by_role("heading", name="Import prompts").wait_for()


def test_a_run_is_watched_while_it_goes_on_and_cancelled(open_page, user, study):
    run = a_run(study)
    Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED, total_steps=0)
    page = open_page(f"/runs/{run.pk}/", user=user)
    page.get_by_text("The run waits for a worker.").wait_for()
    page.get_by_text("first line").wait_for()
    now = {"state": RunState.RUNNING, "step": 3, "total_steps": 4, "log_tail": "first line\nsecond line\n"}
    Run.objects.filter(pk=run.pk).update(**now)
    RunPoint.objects.create(run=run, step=3, values={"reward": 0.9, "kl": 0.2})
    page.get_by_text("second line").wait_for()
    assert not page.get_by_text("The run waits for a worker.").is_visible()
    assert page.get_by_text("3 / 4").is_visible()
    assert page.locator("[data-state]").get_attribute("data-state") == "running"
    assert page.locator("[data-curve=Reward]").get_by_text("step 1 to 3").is_visible()
    page.get_by_role("heading", name="KL to the start, nats", exact=True).wait_for()
    # A curve begins with its second point.
    assert [card.locator("svg").is_visible() for card in page.locator("[data-curve]").all()] == [True, False]
    assert page.get_by_role("progressbar").evaluate("bar => bar.value") == 75
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("The run stops at its next step.").first.wait_for()
    assert Run.objects.get(pk=run.pk).cancel_requested
    Run.objects.filter(pk=run.pk).update(state=RunState.CANCELLED)
    page.get_by_text("cancelled", exact=True).wait_for()
    page.get_by_role("button", name="Cancel").wait_for(state="detached")


def test_the_preview_follows_the_form(open_page, maker):
    page = open_page("/studies/new/?template=generation", user=maker)
    screen = page.frame_locator("[data-preview]")
    screen.get_by_text("small brass key").wait_for()
    screen.get_by_role("radio", name="Equally good").wait_for()
    page.get_by_label("Ties are allowed").uncheck()
    screen.get_by_role("radio", name="Equally good").wait_for(state="detached")
    page.get_by_label("Method").select_option("rank")
    screen.get_by_text("Put them in order").wait_for()
    page.get_by_label("phone").check()
    assert page.locator("[data-preview]").evaluate("frame => frame.style.width") == "390px"
    page.get_by_label("Name", exact=False).first.fill("Über uns: Texte")
    page.get_by_label("Short name").fill("")
    page.get_by_label("Name", exact=False).first.fill("Über uns: Texte!")
    assert page.get_by_label("Short name").input_value() == "u-ber-uns-texte"
    # The frame runs no scripts, axe's neither: what it shows is looked at as a page of its own.
    shown = page.locator("[data-preview]").evaluate("frame => frame.srcdoc")
    page.goto("/")
    page.set_content(shown)
    page.get_by_text("Put them in order").wait_for()
    check(page)


def test_the_raters_at_work_are_watched_live(open_page, user, study):
    page = open_page(f"/studies/{study.slug}/work/", user=user)
    page.get_by_text("judgements in the last hour").wait_for()
    renewals = []
    page.on("request", lambda request: renewals.append("x-refresh" in request.headers))
    submit(
        assignment=lease_next(rater=MembershipFactory(study=study, user__username="grace")), answer=Answer(ranks=[1, 2])
    )
    page.get_by_role("rowheader", name="grace").wait_for()
    # A page that renews itself says so: it keeps no session alive.
    assert renewals
    assert all(renewals)


def test_a_dispute_is_decided_with_the_keyboard(open_page, user, study):
    page = open_page(f"/studies/{study.slug}/review/", user=user)
    page.get_by_role("link", name="Decide").first.click()
    page.get_by_role("button", name="Keys").wait_for()
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.get_by_text("Decided. Your answer").wait_for()
