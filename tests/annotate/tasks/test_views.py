"""The rating pages as plain forms, one test class an endpoint."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotate.collection.leases import lease_next
from annotate.models.choices import AssignmentState
from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment
from tests.annotate.tasks.screens import leased, sign_in_elsewhere, url
from tests.factories import CriterionFactory, MembershipFactory, TaskFactory, UserFactory

pytestmark = pytest.mark.django_db


class TestRate:
    def test_shows_the_next_task_and_leases_it(self, client, rater):
        task = TaskFactory(study=rater.study)
        page = client.get(reverse("rate", args=[rater.study.slug]))
        assert page.status_code == 200
        assert Assignment.objects.get(rater=rater).task == task
        text = page.content.decode()
        assert task.prompt.text in text
        assert all(response.text in text for response in task.responses.all())

    def test_twice_shows_the_same_task_in_the_same_order(self, client, rater):
        TaskFactory.create_batch(3, study=rater.study)
        pages = [client.get(reverse("rate", args=[rater.study.slug])) for _ in range(2)]
        assert Assignment.objects.count() == 1
        texts = [[panel.text for panel in page.context["panels"]] for page in pages]
        assert texts[0] == texts[1]

    def test_nothing_open_is_said_calmly(self, client, rater):
        page = client.get(reverse("rate", args=[rater.study.slug]))
        assert page.status_code == 200
        assert "All done" in page.content.decode()

    def test_a_paused_study_says_so(self, client, rater):
        TaskFactory(study=rater.study)
        rater.study.active = False
        rater.study.save()
        assert "paused" in client.get(reverse("rate", args=[rater.study.slug])).content.decode()

    def test_author_and_response_ids_never_reach_the_page(self, client, rater):
        task = TaskFactory(study=rater.study, k=3)
        task.responses.update(author_name="SECRET-AUTHOR")
        page = client.get(reverse("rate", args=[rater.study.slug])).content.decode()
        assert "SECRET-AUTHOR" not in page
        for response in task.responses.all():
            assert response.external_id not in page
        names = re.findall(r'name="(place_[^"]*)"', page)
        assert names == ["place_0", "place_1", "place_2"]

    def test_hostile_text_is_escaped(self, client, rater):
        task = TaskFactory(study=rater.study, prompt__text="<script>alert(1)</script>")
        task.responses.update(text='"><img src=x onerror=alert(2)>')
        page = client.get(reverse("rate", args=[rater.study.slug])).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)" in page

    def test_the_page_has_no_inline_script_style_or_handler(self, client, rater):
        TaskFactory(study=rater.study, k=3)
        page = client.get(reverse("rate", args=[rater.study.slug])).content.decode()
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)

    def test_a_member_of_another_study_gets_404(self, client, rater):
        sign_in_elsewhere(client)
        assert client.get(reverse("rate", args=[rater.study.slug])).status_code == 404

    def test_an_outsider_gets_404(self, client, rater):
        client.force_login(UserFactory())
        assert client.get(reverse("rate", args=[rater.study.slug])).status_code == 404

    def test_a_former_member_gets_404(self, client, rater):
        rater.active = False
        rater.save()
        assert client.get(reverse("rate", args=[rater.study.slug])).status_code == 404

    def test_anonymous_is_sent_to_sign_in(self, client, study):
        page = client.get(reverse("rate", args=[study.slug]))
        assert page.status_code == 302
        assert page.url.startswith(reverse("account_login"))


@pytest.mark.parametrize("name", ["judge", "skip", "release"])
class TestEveryAssignmentAddress:
    def test_another_raters_assignment_is_404(self, client, rater, name):
        other = leased(MembershipFactory(study=rater.study))
        assert client.post(url(name, other), {"preference": "a1"}).status_code == 404
        other.refresh_from_db()
        assert other.state == AssignmentState.LEASED

    def test_a_member_of_another_study_gets_404(self, client, rater, name):
        assignment = leased(rater)
        sign_in_elsewhere(client)
        assert client.post(url(name, assignment)).status_code == 404

    def test_an_outsider_gets_404(self, client, rater, name):
        assignment = leased(rater)
        client.force_login(UserFactory())
        assert client.post(url(name, assignment)).status_code == 404

    def test_a_former_member_gets_404(self, client, rater, name):
        assignment = leased(rater)
        rater.active = False
        rater.save()
        assert client.post(url(name, assignment)).status_code == 404

    def test_anonymous_is_sent_to_sign_in(self, client, rater, name):
        assignment = leased(rater)
        client.logout()
        page = client.post(url(name, assignment))
        assert page.status_code == 302
        assert page.url.startswith(reverse("account_login"))

    def test_opened_by_hand_it_leads_to_the_rating_page(self, client, rater, name):
        assignment = leased(rater)
        page = client.get(url(name, assignment))
        assert page.url == reverse("rate", args=[rater.study.slug])
        assert Assignment.objects.get().state == AssignmentState.LEASED

    def test_an_id_beyond_the_database_is_404(self, client, rater, name):
        assert client.post(reverse(name, args=[10**30])).status_code == 404


class TestJudge:
    @pytest.mark.parametrize(
        ("choice", "ranks", "strength", "bad"),
        [
            ("a3", [1, 2], 3, False),
            ("a2", [1, 2], 2, False),
            ("a1", [1, 2], 1, False),
            ("tie", [1, 1], None, False),
            ("b1", [2, 1], 1, False),
            ("b2", [2, 1], 2, False),
            ("b3", [2, 1], 3, False),
            ("bad", [1, 1], None, True),
        ],
    )
    def test_a_comparison_is_stored_in_the_order_shown(self, client, rater, choice, ranks, strength, bad):
        assignment = leased(rater)
        page = client.post(url("judge", assignment), {"preference": choice, "comment": " fine ", "seconds": "12.5"})
        assert page.status_code == 303
        assert page.url == reverse("rate", args=[rater.study.slug])
        made = Judgement.objects.get()
        assert (made.shown, made.ranks, made.strength) == (assignment.shown, ranks, strength)
        assert made.unacceptable == [bad, bad]
        assert (made.comment, made.seconds, made.rater) == ("fine", 12.5, rater)

    def test_scores_of_one_response(self, client, rater):
        CriterionFactory(study=rater.study, key="clear", labels={"1": "not at all", "5": "fully"})
        CriterionFactory(study=rater.study, key="percent", minimum=0, maximum=100, step=0.5)
        assignment = leased(rater, k=1)
        client.post(url("judge", assignment), {"score_0_clear": "4", "score_0_percent": "62.5"})
        made = Judgement.objects.get()
        assert (made.ranks, made.scores) == (None, {"clear": [4.0], "percent": [62.5]})

    def test_a_ranking_with_a_tie_and_scores(self, client, rater):
        CriterionFactory(study=rater.study, key="clear")
        assignment = leased(rater, k=3)
        answer = {"place_0": "3", "place_1": "1", "place_2": "1", "unacceptable_0": "on"}
        scores = {f"score_{place}_clear": str(place + 1) for place in range(3)}
        assert client.post(url("judge", assignment), answer | scores).status_code == 303
        made = Judgement.objects.get()
        assert made.ranks == [2, 1, 1]
        assert made.unacceptable == [True, False, False]
        assert made.scores == {"clear": [1.0, 2.0, 3.0]}

    def test_without_a_count_of_the_browser_the_wall_time_is_stored(self, client, rater):
        assignment = leased(rater)
        Assignment.objects.update(leased_at=timezone.now() - timedelta(seconds=90))
        client.post(url("judge", assignment), {"preference": "tie"})
        assert 90 <= Judgement.objects.get().seconds < 900

    def test_sent_twice_it_counts_once(self, client, rater):
        assignment = leased(rater)
        for choice in ("a1", "b1"):
            assert client.post(url("judge", assignment), {"preference": choice}).status_code == 303
        assert Judgement.objects.get().ranks == [1, 2]
        assignment.task.refresh_from_db()
        assert assignment.task.slots_taken == 1

    def test_going_back_and_answering_again_is_explained(self, client, rater):
        assignment = leased(rater)
        client.post(url("judge", assignment), {"preference": "a1"})
        page = client.post(url("judge", assignment), {"preference": "b1"}, follow=True)
        assert "your first answer counts" in page.content.decode()

    def test_no_answer_is_said_and_everything_typed_is_kept(self, client, rater):
        CriterionFactory(study=rater.study, key="clear")
        assignment = leased(rater)
        page = client.post(
            url("judge", assignment),
            {"comment": "my <b>long</b> thought", "score_1_clear": "4", "details": "why", "seconds": "31"},
        )
        text = page.content.decode()
        assert page.status_code == 422
        assert "Say which response is better" in text
        assert text.count("for every response") == 1
        assert "my &lt;b&gt;long&lt;/b&gt; thought" in text
        assert re.search(r'name="score_1_clear" value="4"[^>]*checked', text)
        assert 'value="31"' in text
        assert ">\nwhy</textarea>" in text
        assert not Judgement.objects.exists()

    @pytest.mark.parametrize("value", ["6", "nan", "inf", "4x", ""])
    def test_a_score_off_the_scale_is_refused(self, client, rater, value):
        CriterionFactory(study=rater.study, key="clear", maximum=100)
        assignment = leased(rater, k=1)
        value = "101" if value == "6" else value
        page = client.post(url("judge", assignment), {"score_0_clear": value})
        assert page.status_code == 422
        assert page.context["problems"]
        assert not Judgement.objects.exists()

    def test_a_missing_place_is_refused_and_the_others_are_kept(self, client, rater):
        assignment = leased(rater, k=3)
        page = client.post(url("judge", assignment), {"place_0": "2", "place_1": "1"})
        assert page.status_code == 422
        assert page.context["problems"] == ["Give every response a place."]
        assert page.content.decode().count("selected") >= 2

    def test_a_comment_that_is_too_long_is_kept_and_refused(self, client, rater):
        assignment = leased(rater)
        page = client.post(url("judge", assignment), {"preference": "a1", "comment": "x" * 10_001})
        assert page.status_code == 422
        assert "x" * 10_001 in page.content.decode()

    def test_a_lost_lease_is_explained_and_the_words_are_kept(self, client, rater):
        rater.study.replication = 1
        rater.study.save()
        assignment = leased(rater)
        Assignment.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
        other = MembershipFactory(study=rater.study)
        assert lease_next(rater=other).task == assignment.task
        page = client.post(url("judge", assignment), {"preference": "a1", "comment": "a thought"})
        assert page.status_code == 409
        assert "ran out" in page.content.decode()
        assert "a thought" in page.content.decode()
        assert not Judgement.objects.exists()

    def test_after_a_skip_it_is_refused(self, client, rater):
        assignment = leased(rater)
        client.post(url("skip", assignment), {"reason": "unclear"})
        assert client.post(url("judge", assignment), {"preference": "a1"}).status_code == 422

    def test_a_member_without_csrf_token_is_refused(self, rater):
        from django.test import Client

        strict = Client(enforce_csrf_checks=True)
        strict.force_login(rater.user)
        assert strict.post(url("judge", leased(rater)), {"preference": "a1"}).status_code == 403


class TestSkip:
    @pytest.mark.parametrize(
        ("data", "stored"),
        [
            ({"reason": "knowledge"}, "knowledge"),
            ({"reason": "language", "details": "half of it"}, "language: half of it"),
            ({"reason": "other", "details": "a friend wrote it"}, "a friend wrote it"),
            ({"reason": "", "details": "no idea"}, "no idea"),
        ],
    )
    def test_frees_the_task_for_others_and_never_comes_back(self, client, rater, data, stored):
        assignment = leased(rater)
        assert client.post(url("skip", assignment), data).status_code == 303
        assignment.refresh_from_db()
        assert (assignment.state, assignment.skip_reason) == (AssignmentState.SKIPPED, stored)
        assert lease_next(rater=rater) is None
        assert lease_next(rater=MembershipFactory(study=rater.study)).task == assignment.task

    @pytest.mark.parametrize("data", [{}, {"reason": "other"}, {"reason": "no such reason"}, {"details": "x" * 401}])
    def test_without_a_fitting_reason_it_is_refused_and_the_answer_is_kept(self, client, rater, data):
        assignment = leased(rater)
        page = client.post(url("skip", assignment), {"preference": "b2", "comment": "half a thought", **data})
        text = page.content.decode()
        assert page.status_code == 422
        assert len(page.context["problems"]) == 1
        assert "half a thought" in text
        assert re.search(r'value="b2"[^>]*checked', text)
        assignment.refresh_from_db()
        assert assignment.state == AssignmentState.LEASED

    def test_a_judged_task_cannot_be_skipped(self, client, rater):
        assignment = leased(rater)
        client.post(url("judge", assignment), {"preference": "a1"})
        assert client.post(url("skip", assignment), {"reason": "unclear"}).status_code == 422


class TestGiveBack:
    def test_frees_the_task_and_leaves(self, client, rater):
        assignment = leased(rater)
        page = client.post(url("release", assignment))
        assert (page.status_code, page.url) == (303, reverse("studies"))
        assignment.task.refresh_from_db()
        assert assignment.task.slots_taken == 0
        assert lease_next(rater=rater).task == assignment.task
