"""The three methods by keyboard alone, and by touch on a phone."""

import pytest

from annotate.models.judgements import Judgement
from annotate.models.prompts import Response
from tests.browser.conftest import PHONE
from tests.browser.test_rating import study_of, wait_for_the_end
from tests.factories import CriterionFactory

pytestmark = pytest.mark.browser

DESK = {"viewport": {"width": 1280, "height": 800}}


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def row_in_focus(page):
    return page.evaluate("document.activeElement.closest('[data-row]')?.dataset.row ?? null")


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
class TestByKeyboardAlone:
    def test_compare(self, open_page, user, screen):
        study_of(user, k=2, tasks=2)
        page = open_page("/studies/shop/rate/", user=user, **screen)
        press(page, "a", "Enter")
        page.get_by_text("1 judged by you").wait_for()
        press(page, "b", "b", "b", "c")
        page.keyboard.type("too short")
        press(page, "Escape", "Enter")
        wait_for_the_end(page)
        made = [(j.ranks, j.strength, j.comment) for j in Judgement.objects.order_by("id")]
        assert made == [([1, 2], 1, ""), ([2, 1], 3, "too short")]
        assert {j.device for j in Judgement.objects.all()} == {"phone" if screen is PHONE else "desktop"}

    def test_score(self, open_page, user, screen):
        study = study_of(user, k=1)
        for key in ("clear", "kind"):
            CriterionFactory(study=study, key=key)
        page = open_page("/studies/shop/rate/", user=user, **screen)
        press(page, "4", "2", "Enter")
        wait_for_the_end(page)
        assert Judgement.objects.get().scores == {"clear": [4], "kind": [2]}

    def test_rank(self, open_page, user, screen):
        study_of(user, k=3)
        page = open_page("/studies/shop/rate/", user=user, **screen)
        press(page, "j")
        assert row_in_focus(page) == "A"
        press(page, "ArrowDown")  # B A C
        assert row_in_focus(page) == "A"
        press(page, "j")
        assert row_in_focus(page) == "C"
        press(page, "t", "Enter")  # C ties with A
        wait_for_the_end(page)
        assert Judgement.objects.get().ranks == [2, 1, 2]

    def test_skip(self, open_page, user, screen):
        study = study_of(user, k=2)
        page = open_page("/studies/shop/rate/", user=user, **screen)
        press(page, "s", "T")  # the first reason that begins with a T: the prompt is unclear
        press(page, "Tab", "Tab", "Enter")
        wait_for_the_end(page)
        assert study.memberships.get().assignments.get().skip_reason == "unclear"


class TestByTouchOnAPhone:
    def test_compare(self, open_page, user):
        study_of(user, k=2)
        page = open_page("/studies/shop/rate/", user=user, **PHONE)
        page.get_by_role("radio", name="B is clearly better").tap()
        page.get_by_role("button", name="Submit and continue").tap()
        wait_for_the_end(page)
        assert (Judgement.objects.get().ranks, Judgement.objects.get().strength) == ([2, 1], 2)

    def test_score(self, open_page, user):
        CriterionFactory(study=study_of(user, k=1), key="clear", labels={"5": "very"})
        page = open_page("/studies/shop/rate/", user=user, **PHONE)
        page.get_by_role("radio", name="5 very").tap()
        page.get_by_role("button", name="Submit and continue").tap()
        wait_for_the_end(page)
        assert Judgement.objects.get().scores == {"clear": [5]}

    def test_rank(self, open_page, user):
        study_of(user, k=3)
        page = open_page("/studies/shop/rate/", user=user, **PHONE)
        for name, place in (("A", "2"), ("B", "1"), ("C", "2")):
            page.get_by_label(f"Place of {name}").select_option(place)
        page.get_by_role("button", name="Submit and continue").tap()
        wait_for_the_end(page)
        assert Judgement.objects.get().ranks == [2, 1, 2]

    def test_rank_with_a_finger(self, open_page, user):
        study_of(user, k=3)
        page = open_page("/studies/shop/rate/", user=user, **PHONE)
        page.locator(".rank-list").evaluate("list => list.scrollIntoView({block: 'center'})")
        middle = {
            name: (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            for name in "AC"
            if (box := page.get_by_role("button", name=f"Move response {name}").bounding_box())
        }
        touch = page.context.new_cdp_session(page)
        for kind, name in (("touchStart", "C"), ("touchMove", "C"), ("touchMove", "A"), ("touchEnd", None)):
            points = [dict(zip("xy", middle[name], strict=True))] if name else []
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        assert page.locator("[data-live]").inner_text() == "C shares place 1 with A"
        page.get_by_role("button", name="Submit and continue").click()
        wait_for_the_end(page)
        assert Judgement.objects.get().ranks == [1, 2, 1]


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_controls_stay_in_view_however_long_the_texts(open_page, user, k, screen):
    study = study_of(user, k=k)
    CriterionFactory(study=study, key="clear")
    Response.objects.update(text="A long story. " * 400)
    page = open_page("/studies/shop/rate/", user=user, **screen)
    bottom = screen["viewport"]["height"]
    controls = [page.get_by_role("button", name="Submit and continue")]
    if k == 2:
        controls.append(page.get_by_role("radio", name="Both are unacceptable"))
    for control in controls:
        box = control.bounding_box()
        assert 0 <= box["y"] < box["y"] + box["height"] <= bottom
    assert page.evaluate("scrollY") == 0


def test_a_better_version_begins_as_one_of_the_responses_and_keys_choose_the_label(open_page, user):
    study = study_of(user, k=2)
    study.ask_rewrite, study.labels = True, ["yes", "no"]
    study.save()
    page = open_page("/studies/shop/rate/", user=user, **DESK)
    press(page, "2", "b")
    page.get_by_text("Write it better").click()
    page.get_by_role("button", name="Start from B").click()
    page.keyboard.press("End")
    page.keyboard.type(" And more.")
    press(page, "Escape", "Enter")
    wait_for_the_end(page)
    vote, rewrite = Judgement.objects.order_by("id")
    assert (vote.label, vote.ranks, rewrite.part) == ("no", [2, 1], "rewrite")
    texts = Response.objects.in_bulk(rewrite.shown)
    better, worse = (texts[pk].text for _, pk in sorted(zip(rewrite.ranks, rewrite.shown, strict=True)))
    assert better == f"{worse} And more."
    assert rewrite.shown[rewrite.ranks.index(2)] == vote.shown[1]
