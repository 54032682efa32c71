"""What the settings of a study make of the rating screen."""

import pytest
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from tests.factories import MembershipFactory, ResponseFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


def screen(client, k=2, prompt="What?", **settings):
    rater = MembershipFactory(study=StudyFactory(**settings))
    TaskFactory(study=rater.study, k=k, prompt__text=prompt)
    client.force_login(rater.user)
    return client.get(reverse("rate", args=[rater.study.slug]))


def values(page):
    return [value for value, _label in page.context["form"].fields["preference"].choices]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["a3", "a2", "a1", "tie", "b1", "b2", "b3", "bad"]),
        ({"allow_ties": False}, ["a3", "a2", "a1", "b1", "b2", "b3", "bad"]),
        ({"use_strength": False}, ["a", "tie", "b", "bad"]),
        ({"use_strength": False, "allow_ties": False}, ["a", "b", "bad"]),
    ],
)
def test_the_bar_follows_ties_and_strength(client, settings, expected):
    page = screen(client, **settings)
    assert values(page) == expected
    assert client.post(page.context["action"], {"preference": expected[0]}).status_code == 303


def test_what_the_study_does_not_offer_is_no_answer(client):
    page = screen(client, allow_ties=False)
    assert client.post(page.context["action"], {"preference": "tie"}).status_code == 422


def test_authors_are_hidden_unless_the_study_shows_them(client):
    assert "somebody" not in screen(client).content.decode()
    for k in (1, 2, 3):
        assert screen(client, k=k, blind=False).content.decode().count("somebody") == k


def test_markdown_only_where_the_study_says_so(client):
    assert "**bold**" in screen(client, prompt="**bold** <b>x</b>").content.decode()
    text = screen(client, prompt="**bold** <b>x</b>", text_format="markdown").content.decode()
    assert "<strong>bold</strong>" in text
    assert "<b>x</b>" not in text


def test_warning_and_blur(client):
    assert "data-reveal" not in screen(client).content.decode()
    text = screen(client, blur=True, content_warning="Violence").content.decode()
    assert "data-reveal" in text
    assert "Violence" in text


def test_right_to_left_and_chinese_texts_take_their_own_direction(client):
    text = screen(client, prompt="مرحبا 你好").content.decode()
    assert 'dir="auto"' in text
    assert "مرحبا 你好" in text


def test_the_rater_hears_of_the_others_only_where_the_study_says_so(client):
    for show, expected in ((True, ["1 of 2 other raters said the same."]), (False, [])):
        study = StudyFactory(show_agreement=show)
        TaskFactory(study=study)
        first = None
        for better in (0, 1):
            assignment = lease_next(rater=MembershipFactory(study=study))
            first = first or assignment.shown[0]
            target = [1 if pk == first else 2 for pk in assignment.shown]
            submit(assignment=assignment, answer=Answer(ranks=target if better else [3 - rank for rank in target]))
        rater = MembershipFactory(study=study)
        client.force_login(rater.user)
        page = client.get(reverse("rate", args=[study.slug]))
        answer = client.post(page.context["action"], {"preference": "a1"}, headers={"Accept": "application/json"})
        assert answer.json()["notices"] == expected


def test_an_author_that_is_hostile_text_is_shown_as_text(client):
    rater = MembershipFactory(study=StudyFactory(blind=False))
    task = TaskFactory(study=rater.study)
    task.responses.update(author_name="<script>x</script>")
    ResponseFactory(prompt=task.prompt)
    client.force_login(rater.user)
    assert "<script>x" not in client.get(reverse("rate", args=[rater.study.slug])).content.decode()
