"""axe-core finds nothing to complain about, in both colour schemes, on a desk and on a phone."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from annotate.tasks.models import Task
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.browser

LOOKS = [
    # Without motion: a colour that is still fading in has no contrast to measure.
    pytest.param(
        {"viewport": {"width": width, "height": 844}, "color_scheme": scheme, "reduced_motion": "reduce"},
        id=f"{width}-{scheme}",
    )
    for width in (1280, 390)
    for scheme in ("light", "dark")
]


def check(page):
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.mark.parametrize("look", LOOKS)
def test_sign_in(open_page, transactional_db, look):
    page = open_page("/login/", **look)
    check(page)
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("nothing")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    check(page)


@pytest.mark.parametrize("look", LOOKS)
def test_studies_and_the_rating_screen(open_page, user, look):
    studies = {}
    for k in (1, 2, 4):
        studies[k] = StudyFactory(name=f"Study of {k}", instructions="Read well.", description="About a shop.")
        MembershipFactory(study=studies[k], user=user, role="owner")
        CriterionFactory(study=studies[k], name="Clear", description="Is it clear?", labels={"1": "no", "5": "yes"})
        TaskFactory(study=studies[k], k=k, prompt__text="word " * 50 + "x" * 300)
    CriterionFactory(study=studies[1], name="Sure", minimum=0, maximum=100)
    page = open_page("/", user=user, **look)
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


@pytest.mark.parametrize("look", LOOKS)
def test_the_end_of_a_study(open_page, user, look):
    study = MembershipFactory(user=user).study
    check(open_page(f"/studies/{study.slug}/rate/", user=user, **look))
