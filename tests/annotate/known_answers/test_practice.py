"""The practice page."""

import pytest
from django.urls import reverse

from annotate.collection.gold import set_known_answer
from annotate.models.choices import Purpose
from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment
from tests.factories import MembershipFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rater(client):
    rater = MembershipFactory(study__text_format="markdown")
    client.force_login(rater.user)
    return rater


@pytest.fixture
def tasks(rater):
    tasks = TaskFactory.create_batch(2, study=rater.study)
    for task in tasks:
        set_known_answer(
            task=task, purpose=Purpose.PRACTICE, ranks=[1, 2], explanation="**Because** <script>x</script>"
        )
    return tasks


def address(rater, n=1):
    return reverse("practice", args=[rater.study.slug]) + f"?n={n}"


def test_says_whether_it_was_right_and_why_and_stores_nothing(client, rater, tasks):
    assert "Task 1 of 2" in client.get(address(rater)).content.decode()
    text = client.post(address(rater), {"preference": "a1"}).content.decode()
    assert "Right" in text
    assert "<strong>Because</strong>" in text
    assert "<script>x" not in text
    assert "?n=2" in text
    text = client.post(address(rater, 2), {"preference": "tie"}).content.decode()
    assert "Not quite" in text
    assert reverse("rate", args=[rater.study.slug]) in text
    assert not Judgement.objects.exists()
    assert not Assignment.objects.exists()


def test_an_answer_is_asked_for(client, rater, tasks):
    page = client.post(address(rater), {})
    assert page.status_code == 422
    assert "Say which response is better" in page.content.decode()


@pytest.mark.parametrize("n", ["0", "3", "x"])
def test_a_number_that_there_is_not_leads_back(client, rater, tasks, n):
    expected = reverse("instructions", args=[rater.study.slug])
    page = client.get(address(rater, n))
    assert page.status_code == 200 if n == "x" else page.url == expected
