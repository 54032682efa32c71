"""Help for those who read for hours: folding, differences, blur, breaks; instructions, practice, notices."""

import pytest

from annotate.collection.gold import set_known_answer
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.judgements import Judgement
from annotate.studies.operations import change_study
from tests.browser.conftest import PHONE, until
from tests.browser.test_accessibility import STILL, check
from tests.browser.test_rating import study_of
from tests.factories import MembershipFactory, PromptFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.browser


def rate(open_page, user, **options):
    return open_page("/studies/shop/rate/", user=user, **options)


def write(task, *texts):
    for response, text in zip(task.responses.order_by("id"), texts, strict=True):
        response.text = text
        response.save()


def test_long_texts_fold_together_and_open_by_key(open_page, user):
    study = study_of(user, k=2)
    write(study.tasks.get(), "short", "word " * 3000)
    page = rate(open_page, user)
    height = "() => document.querySelectorAll('.response')[1].clientHeight"
    folded = page.evaluate(height)
    page.get_by_role("button", name="Show all").wait_for()
    page.keyboard.press("e")
    page.get_by_role("button", name="Show less").wait_for()
    assert page.evaluate(height) > 2 * folded
    page.get_by_role("button", name="Show less").click()
    assert page.evaluate(height) == folded


def test_the_words_that_differ_are_marked_and_unmarked(open_page, user):
    study = study_of(user, k=2)
    write(study.tasks.get(), "The red train <b>leaves</b> 明天早上", "The blue train <b>leaves</b> 明天晚上")
    page = rate(open_page, user)
    page.keyboard.press("d")
    marks = page.locator("mark").all_inner_texts()
    assert sorted(marks) == sorted(["red", "早", "blue", "晚"])
    page.keyboard.press("d")
    assert page.locator("mark").count() == 0
    page.get_by_text("<b>leaves</b>").first.wait_for()


def test_mixed_scripts_differ_by_latin_words_and_chinese_characters(open_page, user):
    study = study_of(user, k=2)
    write(study.tasks.get(), "用GPT模型写，价格３０元。", "用BERT模型写，价格４０元！")
    page = rate(open_page, user)
    page.keyboard.press("d")
    assert sorted(page.locator("mark").all_inner_texts()) == sorted(["GPT", "３０", "BERT", "４０"])


def test_blurred_texts_are_shown_when_asked_for(open_page, user):
    change_study(study=study_of(user, k=3), blur=True, content_warning="Violence is described.")
    page = rate(open_page, user)
    page.get_by_text("Violence is described.").wait_for()
    blurred = "[...document.querySelectorAll('.sensitive')].map((e) => getComputedStyle(e).filter !== 'none')"
    assert set(page.evaluate(blurred)) == {True}
    page.keyboard.press("v")
    until(page, lambda: set(page.evaluate(blurred)) == {False})


def test_a_break_is_proposed_after_its_minutes(open_page, user):
    change_study(study=study_of(user, k=2), break_minutes=10)
    page = rate(open_page, user)
    page.clock.install()
    page.reload()
    for _ in range(3):
        page.clock.fast_forward(4 * 60_000)
        page.keyboard.press("a")
    page.get_by_text("Time to look out of the window").wait_for()
    page.get_by_role("button", name="Go on", exact=True).click()
    assert page.locator("[data-break]").is_hidden()


def test_instructions_practice_and_quiz_lead_to_the_first_task(open_page, user):
    study = study_of(user, k=2, tasks=3)
    change_study(study=study, instructions="# Read\n\nChoose the **kinder** one.")
    practice, quiz, _real = study.tasks.order_by("id")
    set_known_answer(task=practice, purpose="practice", ranks=[1, 2], explanation="It is *kinder*.")
    set_known_answer(task=quiz, purpose="quiz", ranks=[1, 1])
    page = rate(open_page, user)
    page.get_by_text("A short quiz comes first").wait_for()
    page.get_by_role("link", name="Practise first").click()
    page.get_by_role("button", name="Keys").wait_for()
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Not quite").wait_for()
    page.get_by_text("It is kinder.").wait_for()
    assert not Judgement.objects.exists()
    page.get_by_role("link", name="Start rating").click()
    page.get_by_role("button", name="I’ve read this, start rating").click()
    page.get_by_text("This question belongs to the quiz").wait_for()
    page.get_by_role("button", name="Keys").wait_for()
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    page.get_by_text("You have passed the quiz").wait_for()
    page.get_by_role("link", name="My answers").wait_for()
    assert page.get_by_text("This question belongs to the quiz").is_hidden()


def test_an_invited_rater_comes_from_the_link_to_the_first_task(open_page, user):
    study = study_of(user, k=2)
    user.memberships.update(role="owner")
    page = open_page("/studies/shop/members/", user=user)
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("Link 1", exact=True).input_value()
    guest = open_page(link[link.index("/join/") :])
    guest.get_by_label("Choose a name").fill("grace")
    guest.get_by_label("Choose a password").fill("hopper-1906")
    guest.get_by_role("button", name="Join").click()
    guest.get_by_role("button", name="Keys").wait_for()
    guest.keyboard.press("a")
    guest.keyboard.press("Enter")
    until(guest, lambda: Judgement.objects.filter(rater__user__username="grace").count() == 1)
    assert study.invitations.get().joined == 1


@pytest.mark.slow
def test_axe_on_the_raters_other_pages(open_page, user):
    study = study_of(user, k=2, tasks=2, text_format="markdown")
    change_study(
        study=study, blur=True, content_warning="Violence", instructions="## Read\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    )
    practice = TaskFactory(study=study, prompt__text="```\ncode\n```\n\n**bold** $x_1$")
    set_known_answer(task=practice, purpose="practice", ranks=[1, 2], explanation="Because.")
    page = open_page("/studies/shop/instructions/", user=user, **STILL)
    check(page)
    page.get_by_role("link", name="Practise first").click()
    page.get_by_role("button", name="Keys").wait_for()
    check(page)
    page.keyboard.press("v")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Not quite").wait_for()
    check(page)
    page.goto("/studies/shop/history/")
    check(page)
    page.goto("/studies/shop/instructions/")
    page.get_by_role("button", name="I’ve read this, start rating").click()
    page.get_by_role("button", name="Keys").wait_for()
    check(page)
    page.keyboard.press("v")
    page.keyboard.press("d")
    page.keyboard.press("a")
    check(page)
    page.keyboard.press("Enter")
    until(page, lambda: Judgement.objects.count() == 1)
    page.goto("/studies/shop/history/")
    check(page)
    page.get_by_role("link", name="Change").click()
    check(page)


def test_long_texts_in_tables_keep_whole_words_on_a_phone(open_page):
    """The column of prompts is as wide as some words; the rest of the table is scrolled to."""
    study = StudyFactory(require_reading=False, replication=2)
    prompt = PromptFactory(study=study, text="The umbrella that I ordered has not come. " * 3)
    TaskFactory(study=study, prompt=prompt)
    for ranks in ([1, 2], [2, 1]):
        assignment = lease_next(rater=MembershipFactory(study=study))
        submit(
            assignment=assignment,
            answer=Answer(ranks=ranks if assignment.shown[0] < assignment.shown[1] else ranks[::-1]),
        )
    manager = MembershipFactory(study=study, role="manager").user
    page = open_page(f"/studies/{study.slug}/review/", user=manager, **PHONE)
    assert page.locator("tbody th.text").first.bounding_box()["width"] > 200
