"""A rater's day: sign in, judge to the end, with the keyboard, with the pointer and without JavaScript."""

import pytest

from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment
from tests.browser.conftest import until
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.browser


def study_of(user, *, k, tasks=1, **fields):
    study = StudyFactory(slug="shop", name="Shop", **fields)
    MembershipFactory(study=study, user=user)
    TaskFactory.create_batch(tasks, study=study, k=k)
    return study


def wait_for_the_end(page):
    page.get_by_role("heading", name="All done").wait_for()


def drag(page, name, onto, share):
    """Drag the row of a response to a share of another row's height: 0 its top, 0.5 its middle."""
    page.locator(".rank-list").scroll_into_view_if_needed()
    handle = page.get_by_role("button", name=f"Move response {name}").bounding_box()
    target = page.locator(f'[data-row="{onto}"]').bounding_box()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(target["x"] + 20, target["y"] + target["height"] * share, steps=5)
    page.mouse.up()


def test_a_rater_signs_in_and_judges_all_three_kinds_to_the_end(open_page, user):
    user.set_password("a-long-password-1")
    user.save()
    for k, name in ((1, "Score"), (2, "Compare"), (3, "Rank")):
        study = StudyFactory(name=name)
        MembershipFactory(study=study, user=user)
        TaskFactory(study=study, k=k)
        if k == 1:
            CriterionFactory(study=study, key="clear")
    page = open_page("/")
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill("a-long-password-1")
    page.get_by_role("button", name="Sign in").click()
    for name, choose in (
        ("Score", lambda: page.get_by_role("radio", name="4").click()),
        ("Compare", lambda: page.get_by_role("radio", name="Equally good").click()),
        ("Rank", lambda: page.get_by_role("button", name="This order is right").click()),
    ):
        page.get_by_role("link", name=f"Rate {name}").click()
        choose()
        page.get_by_role("button", name="Submit and continue").click()
        wait_for_the_end(page)
        page.get_by_role("link", name="Back to the studies").click()
    page.get_by_text("Nothing to rate right now").nth(2).wait_for()
    assert [(j.ranks, j.scores) for j in Judgement.objects.order_by("id")] == [
        (None, {"clear": [4]}),
        ([1, 1], {}),
        ([1, 2, 3], {}),
    ]


def test_compare_with_the_keyboard(open_page, user):
    study_of(user, k=2, tasks=6)
    page = open_page("/studies/shop/rate/", user=user)
    for number, keys in enumerate([["a", "a"], ["b"], ["b", "ArrowRight", "ArrowRight"], ["0"], ["u"], ["ArrowLeft"]]):
        page.get_by_text(f"{number} judged by you").wait_for()
        for key in [*keys, "Enter"]:
            page.keyboard.press(key)
    wait_for_the_end(page)
    made = [(j.ranks, j.strength, j.unacceptable) for j in Judgement.objects.order_by("id")]
    fine = [False, False]
    assert made == [
        ([1, 2], 2, fine),
        ([2, 1], 1, fine),
        ([2, 1], 3, fine),
        ([1, 1], None, fine),
        ([1, 1], None, [True, True]),
        ([1, 2], 1, fine),
    ]
    assert all(j.shown == Assignment.objects.get(task=j.task).shown for j in Judgement.objects.all())


def test_compare_with_the_pointer_and_a_comment(open_page, user):
    study_of(user, k=2)
    page = open_page("/", user=user)
    page.get_by_role("link", name="Rate Shop").click()
    page.get_by_role("radio", name="B is clearly better").click()
    page.locator("summary", has_text="Comment").click()
    page.get_by_label("Comment").fill("warmer")
    page.get_by_role("button", name="Submit and continue").click()
    wait_for_the_end(page)
    made = Judgement.objects.get()
    assert (made.ranks, made.strength, made.comment) == ([2, 1], 2, "warmer")


def test_the_seconds_in_front_of_the_page_are_stored(open_page, user):
    study_of(user, k=2)
    page = open_page("/studies/shop/rate/", user=user)
    page.clock.install()
    page.reload()
    page.clock.fast_forward(30_000)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    wait_for_the_end(page)
    assert 30 <= Judgement.objects.get().seconds < 60


def test_the_time_of_a_rater_who_went_away_is_not_counted(open_page, user):
    study_of(user, k=2)
    page = open_page("/studies/shop/rate/", user=user)
    page.clock.install()
    page.reload()
    page.clock.fast_forward(30_000)
    page.mouse.move(200, 200)
    page.clock.fast_forward(3_600_000)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    wait_for_the_end(page)
    assert 140 <= Judgement.objects.get().seconds < 200


# What is on the key A of a Russian keyboard, and with Caps Lock; 3 on a French one, without Shift.
@pytest.mark.parametrize(
    ("k", "key", "code", "chosen"), [(2, "ф", "KeyA", "a1"), (2, "A", "KeyA", "a1"), (1, '"', "Digit3", "3")]
)
def test_keys_mean_the_same_on_every_keyboard(open_page, user, k, key, code, chosen):
    study = study_of(user, k=k)
    CriterionFactory(study=study, key="clear")
    page = open_page("/studies/shop/rate/", user=user)
    page.get_by_role("button", name="Keys").wait_for()
    page.evaluate(
        "([key, code]) => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, code, bubbles: true}))",
        [key, code],
    )
    assert page.locator("[data-rate] input:checked").get_attribute("value") == chosen


def test_keys_typed_in_a_comment_do_nothing_else(open_page, user):
    study_of(user, k=2)
    page = open_page("/studies/shop/rate/", user=user)
    page.keyboard.press("c")
    page.keyboard.type("basu=0?")
    assert page.get_by_label("Comment").input_value() == "basu=0?"
    assert page.locator("[data-preference] :checked").count() == 0


def test_the_list_of_keys_opens_and_closes(open_page, user):
    study_of(user, k=2)
    page = open_page("/studies/shop/rate/", user=user)
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    assert page.locator("dialog").is_hidden()
    assert page.locator("[data-preference] :checked").count() == 0


def test_score_with_the_keyboard_and_the_slider(open_page, user):
    study = study_of(user, k=1, tasks=2)
    CriterionFactory(study=study, key="clear", name="Clear")
    CriterionFactory(study=study, key="kind", name="Kind", minimum=0, maximum=4)
    CriterionFactory(study=study, key="sure", name="Sure", minimum=0, maximum=100)
    page = open_page("/studies/shop/rate/", user=user)
    page.keyboard.press("4")
    page.keyboard.press("0")
    page.get_by_role("slider", name="Sure").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Submit and continue").click()
    page.get_by_text("1 judged by you").wait_for()
    page.get_by_role("radio", name="2").first.click()
    page.get_by_role("radio", name="3").last.click()
    page.get_by_role("spinbutton", name="Sure").fill("50")
    page.get_by_role("button", name="Submit and continue").click()
    wait_for_the_end(page)
    made = [judgement.scores for judgement in Judgement.objects.order_by("id")]
    assert made == [{"clear": [4], "kind": [0], "sure": [1]}, {"clear": [2], "kind": [3], "sure": [50]}]


def test_rank_with_the_keyboard(open_page, user):
    study_of(user, k=4)
    page = open_page("/studies/shop/rate/", user=user)
    page.get_by_role("button", name="Move response C").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.locator("[data-live]").inner_text() == "C is in place 1 of 4"
    page.get_by_role("button", name="Move response B").focus()
    page.keyboard.press("t")
    assert page.locator("[data-live]").inner_text() == "B shares place 2 with A"
    # Out of the tie and in again, then D out of the last place and back.
    page.keyboard.press("ArrowDown")
    assert page.locator("[data-live]").inner_text() == "B is in place 3 of 4"
    page.keyboard.press("t")
    page.get_by_role("button", name="Submit and continue").click()
    wait_for_the_end(page)
    assert Judgement.objects.get().ranks == [2, 2, 1, 3]


def test_rank_by_dragging(open_page, user):
    study_of(user, k=4)
    page = open_page("/studies/shop/rate/", user=user)
    drag(page, "D", onto="A", share=0.1)
    drag(page, "B", onto="C", share=0.5)
    assert page.locator(".rank-row").evaluate_all("rows => rows.map(row => row.dataset.row)") == ["D", "A", "C", "B"]
    page.get_by_role("button", name="Submit and continue").click()
    wait_for_the_end(page)
    assert Judgement.objects.get().ranks == [2, 3, 3, 1]


def test_rank_as_shown(open_page, user):
    study_of(user, k=3)
    page = open_page("/studies/shop/rate/", user=user)
    page.get_by_role("button", name="This order is right").click()
    page.get_by_role("button", name="Submit and continue").click()
    wait_for_the_end(page)
    assert Judgement.objects.get().ranks == [1, 2, 3]


def test_everything_works_without_javascript(open_page, user):
    study = study_of(user, k=3, tasks=2)
    CriterionFactory(study=study, key="clear", name="Clear")
    page = open_page("/studies/shop/rate/", user=user, java_script_enabled=False)
    page.locator("summary", has_text="Skip this task").click()
    page.get_by_label("Reason").select_option("unclear")
    page.get_by_role("button", name="Skip", exact=True).click()
    for name, place in zip("ABC", "212", strict=True):
        page.get_by_label(f"Place of {name}").select_option(place)
    for position in range(3):
        page.locator(f'[name="score_{position}_clear"][value="{position + 1}"]').check()
    page.get_by_role("button", name="Submit and continue").click()
    wait_for_the_end(page)
    made = Judgement.objects.get()
    assert (made.ranks, made.scores) == ([2, 1, 2], {"clear": [1, 2, 3]})
    assert Assignment.objects.filter(state="skipped").count() == 1


def test_a_draft_survives_a_reload_and_is_forgotten_after_the_answer(open_page, user):
    study_of(user, k=3)
    page = open_page("/studies/shop/rate/", user=user)
    page.keyboard.press("c")
    page.keyboard.type("half a thought")
    page.get_by_role("button", name="Move response C").focus()
    page.keyboard.press("ArrowUp")
    page.reload()
    assert page.get_by_label("Comment").input_value() == "half a thought"
    assert page.locator(".rank-row").evaluate_all("rows => rows.map(row => row.dataset.row)") == ["A", "C", "B"]
    page.get_by_role("button", name="Submit and continue").click()
    wait_for_the_end(page)
    assert Judgement.objects.get().comment == "half a thought"
    until(
        page,
        lambda: page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('palate-draft')).length") == 0,
    )
    assert page.evaluate("localStorage.length && JSON.parse(Object.values(localStorage)[0])") in (0, [])


def test_a_double_click_sends_one_answer(open_page, user):
    study_of(user, k=2, tasks=3)
    page = open_page("/studies/shop/rate/", user=user)
    page.keyboard.press("a")
    page.get_by_role("button", name="Submit and continue").dblclick()
    page.get_by_text("1 judged by you").wait_for()
    until(page, lambda: Judgement.objects.count() == 1)
    page.wait_for_load_state("networkidle")
    assert Judgement.objects.count() == 1
    assert page.get_by_text("1 judged by you").is_visible()


def test_hostile_text_runs_nothing(open_page, user):
    study_of(user, k=2)
    from annotate.models.prompts import Response

    Response.objects.update(
        text="<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    )
    page = open_page("/studies/shop/rate/", user=user)
    assert "owned" not in page.title()
    assert page.locator(".response img, .response script").count() == 0
