"""Instructions: versions, the required read-through, and what is stored with each judgement."""

import pytest
from django.urls import reverse

from annotate.collection.gold import set_known_answer
from annotate.collection.leases import lease_next
from annotate.models.judgements import Judgement
from annotate.studies.instructions import must_read, publish
from annotate.studies.operations import change_study, create_study
from tests.factories import MembershipFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return create_study(slug="shop", name="Shop", instructions="Read *well*.")


@pytest.fixture
def rater(client, study):
    rater = MembershipFactory(study=study)
    TaskFactory(study=study)
    client.force_login(rater.user)
    return rater


class TestPublish:
    def test_each_new_text_is_a_version_and_the_same_text_is_none(self, study):
        change_study(study=study, instructions="Read better.")
        change_study(study=study, instructions="Read better. ")
        assert list(study.instructions_versions.values_list("number", "text")) == [
            (1, "Read *well*."),
            (2, "Read better."),
        ]

    def test_no_instructions_are_no_version(self):
        study = create_study(slug="empty", name="Empty")
        assert study.instructions_version == 0
        publish(study=study, text="  ")
        assert not study.instructions_versions.exists()


def test_worked_examples_stand_below_with_answer_and_reason(client, study, rater):
    task = TaskFactory(study=study, prompt__text="Where is <b>my order</b>?")
    set_known_answer(task=task, purpose="example", ranks=[2, 1], explanation="B names the *order*.")
    text = client.get(reverse("instructions", args=["shop"])).content.decode()
    for expected in ("Where is &lt;b&gt;my order", "B &gt; A", "B names the <em>order</em>"):
        assert expected in text
    assert lease_next(rater=rater).task != task


class TestReading:
    def test_comes_before_the_first_task_and_again_after_a_change(self, client, study, rater):
        rate, read = (reverse(name, args=["shop"]) for name in ("rate", "instructions"))
        assert client.get(rate).url == read
        assert client.post(reverse("rate-prefetch", args=["shop"])).status_code == 204
        page = client.get(read)
        assert "Read <em>well</em>" in page.content.decode()
        assert client.post(read, {"version": page.context["study"].instructions_version}).url == rate
        assert client.get(rate).status_code == 200
        change_study(study=study, instructions="Read better.")
        assert client.get(rate).url == read

    def test_confirming_an_old_version_is_not_enough(self, client, study, rater):
        change_study(study=study, instructions="Read better.")
        client.post(reverse("instructions", args=["shop"]), {"version": 1})
        rater.refresh_from_db()
        assert must_read(rater)

    @pytest.mark.parametrize("version", ["", "x", "99"])
    def test_a_version_that_there_is_not_confirms_nothing(self, client, rater, version):
        client.post(reverse("instructions", args=["shop"]), {"version": version})
        rater.refresh_from_db()
        assert rater.instructions_read == 0

    def test_is_not_asked_for_when_the_study_does_not_want_it(self, client, study, rater):
        change_study(study=study, require_reading=False)
        assert client.get(reverse("rate", args=["shop"])).status_code == 200

    def test_the_version_is_stored_with_the_judgement(self, client, study, rater):
        change_study(study=study, instructions="Read better.", require_reading=False)
        page = client.get(reverse("rate", args=["shop"]))
        change_study(study=study, instructions="Changed while the task was on the screen.")
        client.post(page.context["action"], {"preference": "a1"})
        assert Judgement.objects.get().instructions_version == 2
