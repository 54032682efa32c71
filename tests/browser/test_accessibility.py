"""axe-core finds nothing to complain about, in both colour schemes, on a desk and on a phone."""

import pytest
from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from annotate.api.tokens import make_token
from annotate.models.tasks import Task
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.browser

AXE = Axe()
# Without motion: a colour that is still fading in has no contrast to measure.
STILL = {"reduced_motion": "reduce", "viewport": {"width": 1280, "height": 844}}
# All that a colour scheme changes.
OF_COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


def check(page):
    """The page as it is now, on a desk and on a phone; afterwards it is as wide as before."""
    if not page.evaluate("!!window.axe"):
        page.evaluate(AXE.axe_script)
    before = page.viewport_size
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"at {width} px it scrolls sideways"
        _run_axe(page, "dark", OF_COLOURS)
        _run_axe(page, "light", {})
    page.set_viewport_size(before)


def _run_axe(page, scheme, rules):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    results = AxeResults(page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **rules}))
    assert results.violations_count == 0, results.generate_report()


def test_sign_in(open_page, transactional_db):
    page = open_page("/login/", **STILL)
    check(page)
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("nothing")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    check(page)


@pytest.mark.slow
def test_studies_and_the_rating_screen(open_page, user):
    studies = {}
    for k in (1, 2, 4):
        studies[k] = StudyFactory(name=f"Study of {k}", instructions="Read well.", description="About a shop.")
        MembershipFactory(study=studies[k], user=user, role="owner")
        CriterionFactory(study=studies[k], name="Clear", description="Is it clear?", labels={"1": "no", "5": "yes"})
        TaskFactory(study=studies[k], k=k, prompt__text="word " * 50 + "x" * 300)
    CriterionFactory(study=studies[1], name="Sure", minimum=0, maximum=100)
    page = open_page("/", user=user, **STILL)
    check(page)
    for k, study in studies.items():
        page.goto(f"/studies/{study.slug}/rate/")
        check(page)
        # Everything unfolded, something chosen, and the complaint about what is missing.
        page.keyboard.press("c")
        page.keyboard.press("Escape")
        page.keyboard.press("s")
        if k == 2:
            page.get_by_role("radio", name="A is much better").click()
        if k == 4:
            page.get_by_role("button", name="This order is right").click()
        check(page)
        page.get_by_role("button", name="Skip", exact=True).click()
        page.get_by_role("alert").wait_for()
        check(page)
        page.keyboard.press("?")
        page.get_by_role("dialog").wait_for()
        check(page)
    Task.objects.update(withdrawn=True)
    page.goto("/")
    check(page)


def test_the_end_of_a_study(open_page, user):
    study = MembershipFactory(user=user).study
    check(open_page(f"/studies/{study.slug}/rate/", user=user, **STILL))


def test_the_pages_of_an_account(open_page, user):
    user.is_superuser = True
    user.save()
    make_token(user=user, name="nightly", scopes=["read"])
    browser = Client(headers={"User-Agent": "Mozilla/5.0 " + "x" * 150})
    browser.force_login(user)
    browser.get("/account/")
    page = open_page("/account/", user=user, **STILL)
    check(page)
    for address in ("/account/sessions/", "/account/tokens/", "/account/tokens/all/"):
        page.goto(address)
        check(page)
    page.goto("/account/sessions/")
    page.get_by_role("button", name="Sign out everywhere else").click()
    page.get_by_text("Signed out of 1 other session").wait_for()


def test_a_sign_in_that_has_to_wait(open_page, transactional_db, settings):
    settings.SIGN_IN_FAILURES = 1
    page = open_page("/login/", **STILL)
    for words in ("not correct", "Try again in"):
        page.get_by_label("Username").fill("nobody")
        page.get_by_label("Password").fill("nothing")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").get_by_text(words).wait_for()
    check(page)
