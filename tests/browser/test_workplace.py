"""What goes on behind the rating screen: the next task ahead, answers on their way, drafts, undo."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.choices import AssignmentState
from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment, Task
from tests.browser.conftest import INSECURE_HOST, PHONE, until
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.browser


@pytest.fixture
def study(user):
    study = StudyFactory(slug="shop", name="Shop", replication=1)
    MembershipFactory(study=study, user=user)
    TaskFactory.create_batch(4, study=study)
    return study


def open_screen(open_page, user, **options):
    page = open_page("/studies/shop/rate/", user=user, **options)
    until(page, lambda: leased() == 2)
    page.wait_for_load_state("networkidle")
    return page


def leased():
    return Assignment.objects.filter(state=AssignmentState.LEASED).count()


def judge(page, key="a"):
    page.keyboard.press(key)
    page.keyboard.press("Enter")


def test_the_next_task_is_there_before_it_is_asked_for(open_page, user, study):
    page = open_screen(open_page, user)
    # However long the server takes for the answer, the screen moves on.
    page.route("**/judge/", lambda route: None)
    judge(page)
    page.get_by_text("1 judged by you").wait_for()
    assert page.locator("[data-rate]").get_attribute("data-assignment") == str(Assignment.objects.order_by("id")[1].pk)
    assert page.locator("[data-preference] :checked").count() == 0
    assert page.evaluate("document.activeElement.id") == "prompt-title"


def test_the_task_ahead_is_given_back_when_the_rater_leaves(open_page, user, study):
    page = open_screen(open_page, user)
    page.get_by_role("link", name="Palate").click()
    until(page, lambda: leased() == 1)
    assert sum(Task.objects.values_list("slots_taken", flat=True)) == 1


def test_answers_given_without_a_connection_arrive_later(open_page, user, study):
    page = open_screen(open_page, user, **PHONE)
    page.context.set_offline(True)
    judge(page, "b")
    page.get_by_text("Answers that wait on this device: 1").wait_for()
    page.get_by_text("1 judged by you").wait_for()
    # The second answer has no task after it: the page holds it and says so.
    judge(page, "a")
    page.get_by_text("Answers that wait on this device: 2").wait_for()
    assert Judgement.objects.count() == 0
    page.context.set_offline(False)
    until(page, lambda: Judgement.objects.count() == 2)
    assert [j.ranks for j in Judgement.objects.order_by("id")] == [[2, 1], [1, 2]]
    page.get_by_text("2 judged by you").wait_for()
    assert page.locator("[data-connection]").is_hidden()


def test_an_answer_survives_the_closing_of_the_tab(open_page, user, study):
    page = open_screen(open_page, user)
    page.context.set_offline(True)
    judge(page, "b")
    page.get_by_text("Answers that wait on this device: 1").wait_for()
    page.close()
    again = page.context.new_page()
    page.context.set_offline(False)
    again.goto("/studies/shop/rate/")
    until(again, lambda: Judgement.objects.count() == 1)
    assert Judgement.objects.get().device == "desktop"


def test_answers_are_sent_over_plain_http_as_well(open_page, user, study, settings):
    settings.ALLOWED_HOSTS = [INSECURE_HOST]
    page = open_screen(open_page, user, host=INSECURE_HOST)
    assert not page.evaluate("isSecureContext")
    sent = []
    page.on("request", lambda request: sent.append(request) if request.url.endswith("/judge/") else None)
    page.context.set_offline(True)
    for key in "ba":
        judge(page, key)
    page.get_by_text("Answers that wait on this device: 2").wait_for()
    sent.clear()
    # Two reasons to send at the same time: each answer still goes out once.
    page.context.set_offline(False)
    page.evaluate("for (let n = 0; n < 2; n++) dispatchEvent(new Event('online'))")
    until(page, lambda: Judgement.objects.count() == 2)
    page.get_by_text("2 judged by you").wait_for()
    assert page.locator("[data-connection]").is_hidden()
    assert len(sent) == 2


def test_an_answer_that_is_sent_twice_counts_once(open_page, user, study):
    page = open_screen(open_page, user)
    # The answer arrives, but the word of it gets lost: the browser sends it again.
    lost = []

    def lose_the_first(route):
        response = route.fetch()
        if lost:
            return route.fulfill(response=response)
        lost.append(route.request.post_data)
        return route.abort()

    page.route("**/judge/", lose_the_first)
    judge(page)
    page.get_by_text("Answers that wait on this device: 1").wait_for()
    page.locator("[data-connection]").wait_for(state="hidden")
    assert len(lost) == 1
    assert Judgement.objects.count() == 1


def test_a_lease_that_ran_out_is_explained_and_nothing_typed_is_lost(open_page, user, study):
    page = open_screen(open_page, user)
    page.keyboard.press("c")
    page.keyboard.type("my reasons")
    page.keyboard.press("Escape")
    mine = Assignment.objects.order_by("id").first()
    Assignment.objects.filter(pk=mine.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    other = lease_next(rater=MembershipFactory(study=study))
    assert other.task == mine.task
    submit(assignment=other, answer=Answer(ranks=[1, 1]))
    judge(page)
    page.get_by_role("alert").get_by_text("Your answer was not needed").wait_for()
    page.get_by_role("button", name="See that answer").click()
    page.get_by_role("alert").get_by_text("Your answer was not needed").wait_for()
    assert page.get_by_label("Comment").input_value() == "my reasons"
    assert page.get_by_role("radio", name="A is slightly better").is_checked()


def test_the_time_of_a_task_is_told(open_page, user, study):
    page = open_screen(open_page, user)
    page.clock.install()
    page.reload()
    page.clock.fast_forward(31 * 60_000)
    page.get_by_text("The time for this task is over").wait_for()


def test_a_draft_is_kept_on_the_server(open_page, browser, user, study):
    page = open_screen(open_page, user)
    page.keyboard.press("c")
    page.keyboard.type("half a thought")
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    until(page, lambda: Assignment.objects.filter(draft__preference="b1", draft__comment="half a thought").exists())
    elsewhere = open_page("/studies/shop/rate/", user=user)
    assert elsewhere.get_by_label("Comment").input_value() == "half a thought"
    assert elsewhere.get_by_role("radio", name="B is slightly better").is_checked()


def test_undo_brings_the_last_answer_back(open_page, user, study):
    page = open_screen(open_page, user)
    judge(page, "a")
    page.get_by_text("1 judged by you").wait_for()
    page.keyboard.press("z")
    page.get_by_role("heading", name="Change an answer").wait_for()
    assert page.get_by_role("radio", name="A is slightly better").is_checked()
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    page.get_by_text("Your new answer counts now").wait_for()
    page.get_by_text("1 judged by you").wait_for()
    assert [(j.ranks, j.live) for j in Judgement.objects.order_by("id")] == [([1, 2], False), ([1, 1], True)]


def test_undo_by_touch_waits_for_the_answer_that_is_on_its_way(open_page, user, study):
    page = open_screen(open_page, user, **PHONE)
    page.context.set_offline(True)
    judge(page, "a")
    page.get_by_text("Answers that wait on this device: 1").wait_for()
    page.get_by_role("link", name="Undo").tap()
    page.context.set_offline(False)
    page.get_by_role("heading", name="Change an answer").wait_for()
    assert page.get_by_role("radio", name="A is slightly better").is_checked()


def test_own_answers_show_the_one_that_was_just_given(open_page, user, study):
    page = open_screen(open_page, user)
    page.route("**/judge/", lambda route: (page.wait_for_timeout(500), route.continue_()))
    judge(page, "b")
    page.get_by_role("link", name="My answers").click()
    page.get_by_role("cell", name="B is slightly better").wait_for()


def test_an_answer_on_its_way_arrives_when_the_page_is_left(open_page, user, study):
    page = open_screen(open_page, user)
    judge(page, "b")
    page.goto("about:blank")
    until(page, lambda: Judgement.objects.count() == 1)


def test_pace_follows_the_answers(open_page, user, study):
    page = open_screen(open_page, user)
    assert page.locator("[data-pace]").is_hidden()
    page.clock.install()
    page.reload()
    page.get_by_role("button", name="Keys").wait_for()
    for number, seconds in enumerate((10, 20, 60), start=1):
        page.clock.fast_forward(seconds * 1000)
        judge(page)
        page.get_by_text(f"{number} judged by you").wait_for()
    # Somewhat more than the clock was moved: the page has real time, too.
    assert 20 <= int(page.locator("[data-pace] [data-seconds]").inner_text()) < 50
    until(page, lambda: Judgement.objects.count() == 3)
    page.reload()
    assert 20 <= int(page.locator("[data-pace] [data-seconds]").inner_text()) < 50


def test_an_old_answer_is_changed_from_the_history(open_page, user, study):
    page = open_screen(open_page, user)
    judge(page, "a")
    until(page, lambda: Judgement.objects.count() == 1)
    page.get_by_role("link", name="My answers").click()
    page.get_by_role("cell", name="A is slightly better").wait_for()
    page.get_by_role("link", name="Change").click()
    page.get_by_role("radio", name="B is much better").click()
    page.get_by_role("button", name="Save the new answer").click()
    page.get_by_role("cell", name="B is much better").wait_for()
    assert Judgement.objects.live().get().strength == 3
