"""The report on paper."""

import re
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.annotate import nasty
from tests.factories import MembershipFactory

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("make", [nasty.ties_everywhere, nasty.seven_criteria])
def test_a_report_prints_without_holes(open_page, user, make):
    """Cards that would not break left half of each page empty: it was one page a card."""
    study = make()
    MembershipFactory(study=study, user=user, role="owner")
    page = open_page(f"/studies/{study.slug}/report/", user=user)
    paper = page.pdf(format="A4", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) <= 3
    page.emulate_media(media="print")
    assert not page.locator(".tabs").is_visible()
    # Nothing lies over anything else.
    boxes = page.locator(".stack > *").evaluate_all(
        "of => of.map(e => e.getBoundingClientRect()).map(b => [b.top, b.bottom])"
    )
    assert all(above[1] <= below[0] + 1 for above, below in pairwise(boxes))


@pytest.mark.parametrize("path", ["quality/", "quality/raters/", "quality/fairness/", "standings/", "report/"])
def test_the_pages_are_accessible_with_all_their_tables_open(open_page, user, path):
    study = nasty.ties_everywhere()
    MembershipFactory(study=study, user=user, role="owner")
    page = open_page(
        f"/studies/ties/{path}", user=user, viewport={"width": 390, "height": 844}, reduced_motion="reduce"
    )
    page.evaluate("document.querySelectorAll('details').forEach(of => of.open = true)")
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_each_plot_and_number_of_quality_is_explained_and_to_be_had(open_page, user):
    study = nasty.ties_everywhere()
    MembershipFactory(study=study, user=user, role="owner")
    page = open_page("/studies/ties/quality/", user=user, viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # No word of an axis is cut off.
    for plot in page.locator("svg.plot").all():
        right = plot.evaluate("e => e.getBoundingClientRect().right")
        ends = plot.locator("text").evaluate_all("of => of.map(e => e.getBoundingClientRect().right)")
        assert max(ends) <= right + 1
    page.get_by_role("button", name="0.", exact=False).first.click()
    words = page.locator(".explanation:popover-open").inner_text()
    for part in ("95 % interval", "pairs of answers", "Method:", "Source:"):
        assert part in words
