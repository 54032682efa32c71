"""What the screen's script asks of the server: the next task, answers in the background, drafts."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from annotate.collection.judgements import Answer, correct
from annotate.collection.leases import MAX_HELD, lease_next, release_lease
from annotate.models.choices import AssignmentState
from annotate.models.judgements import Judgement
from annotate.models.tasks import Assignment, Task
from tests.annotate.tasks.screens import leased, sign_in_elsewhere, url
from tests.factories import MembershipFactory, TaskFactory

pytestmark = pytest.mark.django_db


class TestAhead:
    def ask(self, client, rater, *held):
        return client.post(reverse("rate-prefetch", args=[rater.study.slug]), {"beyond": [a.pk for a in held]})

    def test_leases_another_task_than_those_held(self, client, rater):
        TaskFactory.create_batch(3, study=rater.study)
        current = lease_next(rater=rater)
        page = self.ask(client, rater, current)
        assert page.status_code == 200
        second = Assignment.objects.exclude(pk=current.pk).get()
        assert f'data-assignment="{second.pk}"' in page.content.decode()
        assert self.ask(client, rater, current).context["assignment"] == second
        assert self.ask(client, rater, current, second).context["assignment"].pk not in (current.pk, second.pk)

    def test_nothing_more_is_204(self, client, rater):
        assert self.ask(client, rater, leased(rater)).status_code == 204

    def test_nobody_holds_more_than_a_few(self, client, rater):
        TaskFactory.create_batch(9, study=rater.study)
        held = []
        while (page := self.ask(client, rater, *held)).status_code == 200:
            held.append(page.context["assignment"])
        assert len(held) == MAX_HELD

    def test_the_time_of_what_is_on_the_screen_begins_when_it_is_shown(self, client, rater):
        """The screen asks ahead when it shows a task, which may have been fetched long before."""
        TaskFactory.create_batch(2, study=rater.study)
        current = lease_next(rater=rater)
        nearly_over = timezone.now() + timedelta(minutes=1)
        Assignment.objects.update(expires_at=nearly_over)
        self.ask(client, rater, current)
        assert Assignment.objects.get(pk=current.pk).expires_at > nearly_over

    def test_a_member_of_another_study_gets_404(self, client, rater):
        sign_in_elsewhere(client)
        assert self.ask(client, rater).status_code == 404


class TestInTheBackground:
    def send(self, client, name, assignment, data):
        return client.post(url(name, assignment), data, headers={"Accept": "application/json"})

    def test_an_answer_is_acknowledged(self, client, rater):
        assert self.send(client, "judge", leased(rater), {"preference": "a1", "device": "phone"}).status_code == 200
        assert Judgement.objects.get().device == "phone"

    def test_the_same_answer_again_is_acknowledged_even_after_a_correction(self, client, rater):
        assignment, data = leased(rater), {"preference": "a1", "submission": str(uuid4())}
        self.send(client, "judge", assignment, data)
        correct(judgement=Judgement.objects.get(), answer=Answer(ranks=[2, 1]))
        assert self.send(client, "judge", assignment, data).status_code == 200
        assert Judgement.objects.count() == 2
        assert Judgement.objects.live().get().ranks == [2, 1]

    def test_problems_are_named(self, client, rater):
        answer = self.send(client, "judge", leased(rater), {})
        assert answer.status_code == 422
        assert answer.json()["problems"] == ["Say which response is better, or that they are equal."]

    def test_a_lost_lease_is_409(self, client, rater):
        assignment = leased(rater)
        Task.objects.update(withdrawn=True)
        release_lease(assignment=assignment)
        assert self.send(client, "judge", assignment, {"preference": "a1"}).status_code == 409

    def test_a_task_fetched_ahead_goes_back_unless_another_page_shows_it(self, client, rater):
        assignment = leased(rater)
        stale = {"expires": (assignment.expires_at - timedelta(seconds=5)).isoformat()}
        self.send(client, "release", assignment, stale)
        assert Assignment.objects.get().state == AssignmentState.LEASED
        self.send(client, "release", assignment, {"expires": assignment.expires_at.isoformat()})
        assert Assignment.objects.get().state == AssignmentState.RETURNED


class TestDraft:
    def test_is_kept_shown_again_and_keeps_the_lease(self, client, rater):
        assignment = leased(rater)
        answer = client.post(url("draft", assignment), {"preference": "b2", "comment": "so\0far"})
        assert answer.json() == {"kept": True}
        page = client.get(reverse("rate", args=[rater.study.slug])).context["form"]
        assert (page["preference"].value(), page["comment"].value()) == ("b2", "sofar")
        assert Assignment.objects.get().expires_at > assignment.expires_at

    def test_is_gone_after_the_answer(self, client, rater):
        assignment = leased(rater)
        client.post(url("draft", assignment), {"comment": "so far"})
        client.post(url("judge", assignment), {"preference": "a1"})
        assert Assignment.objects.get().draft is None
        assert client.post(url("draft", assignment), {"comment": "late"}).json() == {"kept": False}

    def test_has_an_end(self, client, rater):
        assert client.post(url("draft", leased(rater)), {"comment": "x" * 50_001}).status_code == 413
        assert Assignment.objects.get().draft is None

    def test_of_another_rater_is_404(self, client, rater):
        other = leased(MembershipFactory(study=rater.study))
        assert client.post(url("draft", other), {"comment": "mine"}).status_code == 404
