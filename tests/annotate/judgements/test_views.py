"""A rater's own answers: history, undo, correction."""

import pytest
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.judgements import Judgement
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rater(client):
    rater = MembershipFactory(study=StudyFactory())
    client.force_login(rater.user)
    return rater


def judged(rater, answer=None, k=2, prompt="Which shop?"):
    TaskFactory(study=rater.study, k=k, prompt__text=prompt)
    return submit(assignment=lease_next(rater=rater), answer=answer or Answer(ranks=[1, 2], strength=2))


def history(client, rater, query=""):
    return client.get(reverse("history", args=[rater.study.slug]) + query)


class TestHistory:
    def test_shows_own_live_answers_newest_first(self, client, rater):
        first = judged(rater, prompt="<b>hostile</b>")
        second = judged(rater, Answer(ranks=[1, 2, 1], comment="well"), k=3)
        judged(MembershipFactory(study=rater.study), prompt="not mine")
        page = history(client, rater)
        assert [j.pk for j in page.context["page"]] == [second.pk, first.pk]
        text = page.content.decode()
        assert "A is clearly better" in text
        assert "A = C &gt; B; with a comment" in text
        assert "<b>hostile" not in text
        assert "not mine" not in text

    def test_comes_in_pages(self, client, rater):
        for _ in range(26):
            judged(rater)
        assert len(history(client, rater).context["page"]) == 25
        assert len(history(client, rater, "?page=2").context["page"]) == 1

    def test_loads_the_start_of_a_prompt_only(self, client, rater, django_assert_max_num_queries):
        judged(rater, prompt="word " * 10_000)
        assert len(history(client, rater).content) < 10_000
        for _ in range(5):
            judged(rater)
        with django_assert_max_num_queries(8):
            history(client, rater)

    def test_of_another_study_is_404(self, client, rater):
        assert history(client, MembershipFactory()).status_code == 404


class TestUndo:
    def test_leads_to_the_last_answer(self, client, rater):
        judged(rater)
        last = judged(rater)
        page = client.get(reverse("undo", args=[rater.study.slug]))
        assert page.url == reverse("correct", args=[last.pk]) + "?then=rate"

    def test_without_an_answer_leads_back(self, client, rater):
        assert client.get(reverse("undo", args=[rater.study.slug])).url == reverse("rate", args=[rater.study.slug])

    def test_of_another_study_is_404(self, client, rater):
        assert client.get(reverse("undo", args=[MembershipFactory().study.slug])).status_code == 404


class TestCorrect:
    def url(self, judgement):
        return reverse("correct", args=[judgement.pk])

    @pytest.mark.parametrize(
        ("k", "answer", "values"),
        [
            (2, Answer(ranks=[2, 1], strength=3, comment="so"), {"preference": "b3", "comment": "so"}),
            (2, Answer(ranks=[1, 1], unacceptable=[True, True]), {"preference": "bad"}),
            (2, Answer(ranks=[1, 1]), {"preference": "tie"}),
            (
                3,
                Answer(ranks=[2, 1, 2], unacceptable=[True, False, False]),
                {"place_0": 2, "place_1": 1, "place_2": 2, "unacceptable_0": True, "unacceptable_1": False},
            ),
        ],
    )
    def test_shows_the_answer_as_it_was(self, client, rater, k, answer, values):
        form = client.get(self.url(judged(rater, answer, k=k))).context["form"]
        assert {name: form[name].value() for name in values} == values

    def test_shows_scores(self, client, rater):
        CriterionFactory(study=rater.study, key="clear")
        form = client.get(self.url(judged(rater, Answer(scores={"clear": [4]}), k=1))).context["form"]
        assert form["score_0_clear"].value() == "4"

    def test_supersedes_and_keeps_the_old(self, client, rater):
        old = judged(rater)
        page = client.post(self.url(old), {"preference": "b1"})
        assert page.url == reverse("history", args=[rater.study.slug])
        new = Judgement.objects.live().get()
        assert (new.ranks, new.supersedes, new.shown) == ([2, 1], old, old.shown)
        assert not Judgement.objects.get(pk=old.pk).live

    def test_sent_twice_with_one_key_corrects_once(self, client, rater):
        old, data = judged(rater), {"preference": "b1", "submission": "4b1e3d3e-7f0c-4e58-9a43-0d5d5f6f7a10"}
        for _ in range(2):
            assert client.post(self.url(old), data).status_code == 302
        assert Judgement.objects.count() == 2

    def test_of_a_superseded_answer_is_refused(self, client, rater):
        old = judged(rater)
        client.post(self.url(old), {"preference": "b1"})
        assert client.post(self.url(old), {"preference": "a1"}).status_code == 422
        assert client.get(self.url(old)).status_code == 302
        assert Judgement.objects.live().get().ranks == [2, 1]

    def test_an_unfinished_answer_is_refused(self, client, rater):
        assert client.post(self.url(judged(rater)), {}).status_code == 422
        assert Judgement.objects.count() == 1

    def test_of_another_rater_an_outsider_and_a_former_member_is_404(self, client, rater):
        other = judged(MembershipFactory(study=rater.study))
        assert client.post(self.url(other), {"preference": "b1"}).status_code == 404
        own = judged(rater)
        rater.active = False
        rater.save()
        assert client.get(self.url(own)).status_code == 404
        client.force_login(UserFactory())
        assert client.get(self.url(own)).status_code == 404
