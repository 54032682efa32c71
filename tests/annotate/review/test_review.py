"""Flags, disputed tasks and known answers: the review page and what it does."""

import pytest
from django.urls import reverse

from annotate.errors import PalateError
from annotate.exchange.exports import raw_rows
from annotate.judgements.models import Judgement
from annotate.judgements.operations import Answer, adjudicate, submit
from annotate.known_answers.operations import set_known_answer
from annotate.review.models import Flag, FlagKind
from annotate.review.operations import flag, resolve
from annotate.tasks.models import Part, Purpose, Task
from annotate.tasks.operations import lease_next
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory(slug="shop", replication=3)


@pytest.fixture
def manager(client, study):
    manager = MembershipFactory(study=study, role="manager")
    client.force_login(manager.user)
    return manager


def vote(study, ranks):
    """A new rater's answer to the next task, with these ranks of its places."""
    assignment = lease_next(rater=MembershipFactory(study=study))
    places = list(assignment.task.places.values_list("response_id", flat=True))
    return submit(assignment=assignment, answer=Answer(ranks=[ranks[places.index(pk)] for pk in assignment.shown]))


class TestFlag:
    def test_takes_the_task_out_until_somebody_decides(self, study):
        task = TaskFactory(study=study)
        rater = MembershipFactory(study=study)
        flag(assignment=lease_next(rater=rater), kind=FlagKind.PRIVATE, details="a phone number")
        assert lease_next(rater=MembershipFactory(study=study)) is None
        resolve(task=task, hand_out=True)
        assert lease_next(rater=MembershipFactory(study=study)).task == task
        assert lease_next(rater=rater) is None

    def test_twice_is_once_and_others_may_flag_too(self, study):
        TaskFactory(study=study)
        first, second = (lease_next(rater=MembershipFactory(study=study)) for _ in range(2))
        for assignment in (first, first, second):
            flag(assignment=assignment, kind=FlagKind.UNSAFE)
        assert Flag.objects.count() == 2

    def test_not_of_a_task_that_is_judged(self, study):
        TaskFactory(study=study)
        assignment = lease_next(rater=MembershipFactory(study=study))
        submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
        with pytest.raises(PalateError, match="judged this task already"):
            flag(assignment=assignment, kind=FlagKind.UNSAFE)
        assert not Task.objects.get().withdrawn

    def test_a_judgement_in_the_making_is_still_taken(self, study):
        TaskFactory(study=study)
        other, mine = (lease_next(rater=MembershipFactory(study=study)) for _ in range(2))
        flag(assignment=other, kind=FlagKind.UNREADABLE)
        assert submit(assignment=mine, answer=Answer(ranks=[1, 2])).live

    def test_from_the_screen(self, client, study):
        rater = MembershipFactory(study=study)
        TaskFactory(study=study)
        client.force_login(rater.user)
        assignment = lease_next(rater=rater)
        client.post(reverse("skip", args=[assignment.pk]), {"reason": "unsafe", "details": "it <b>threatens</b>"})
        assert Flag.objects.get().details == "it <b>threatens</b>"
        assert Task.objects.get().withdrawn


class TestReviewPage:
    def test_shows_flags_with_their_texts_and_nothing_runs(self, client, study, manager):
        TaskFactory(study=study, prompt__text="<script>alert(1)</script>")
        flag(assignment=lease_next(rater=MembershipFactory(study=study)), kind="unsafe", details="<img src=x>")
        text = client.get(reverse("review", args=["shop"])).content.decode()
        assert "&lt;script&gt;alert(1)" in text
        assert "&lt;img src=x&gt;" in text

    @pytest.mark.parametrize(("decision", "withdrawn"), [("hand-out", False), ("keep-out", True)])
    def test_a_flag_is_decided(self, client, study, manager, decision, withdrawn):
        task = TaskFactory(study=study)
        flag(assignment=lease_next(rater=MembershipFactory(study=study)), kind="unsafe")
        client.post(reverse("resolve-flags", args=["shop", task.pk]), {"decision": decision})
        task.refresh_from_db()
        assert (task.withdrawn, Flag.objects.get().resolved_at is None) == (withdrawn, False)
        assert "flagged-" not in client.get(reverse("review", args=["shop"])).content.decode()

    def test_a_flagged_known_answer_waits_for_review_while_raters_go_on_with_it(self, client, study, manager):
        study.gold_share = 1.0
        study.save()
        task = TaskFactory(study=study)
        set_known_answer(task=task, purpose=Purpose.GOLD, ranks=[1, 2])
        flag(assignment=lease_next(rater=MembershipFactory(study=study)), kind="unsafe", details="it threatens")
        page = client.get(reverse("review", args=["shop"])).content.decode()
        assert "it threatens" in page
        assert "Keep showing it" in page
        assert lease_next(rater=MembershipFactory(study=study)).task == task
        client.post(reverse("resolve-flags", args=["shop", task.pk]), {"decision": "keep-out"})
        assert lease_next(rater=MembershipFactory(study=study)) is None

    def test_another_decision_is_refused(self, client, study, manager):
        task = TaskFactory(study=study)
        assert client.post(reverse("resolve-flags", args=["shop", task.pk]), {}).status_code == 400

    def test_only_the_studys_own_tasks_are_there(self, client, study, manager):
        foreign = TaskFactory()
        for name in ("resolve-flags", "decide", "known-answer", "known-answer-take-out"):
            assert client.post(reverse(name, args=["shop", foreign.pk])).status_code == 404, name


class TestAdjudication:
    def test_a_disputed_task_is_listed_decided_blind_and_gone(self, client, study, manager):
        task = TaskFactory(study=study)
        for ranks in ([1, 2], [2, 1]):
            vote(study, ranks)
        page = client.get(reverse("review", args=["shop"]))
        assert [(found, dispute.agreement) for found, dispute in page.context["disputed"]] == [(task, 0.0)]
        address = reverse("decide", args=["shop", task.pk])
        screen = client.get(address)
        assert "somebody" not in screen.content.decode()
        assert [p.text for p in client.get(address).context["panels"]] == [p.text for p in screen.context["panels"]]
        assert client.post(address, {}).status_code == 422
        assert client.post(address, {"preference": "a2"}).url == reverse("review", args=["shop"])
        judgement = Judgement.objects.get(part=Part.ADJUDICATION)
        first = screen.context["panels"][0].text
        assert judgement.task.responses.get(pk=judgement.shown[judgement.ranks.index(1)]).text == first
        assert judgement.rater == manager
        assert client.get(reverse("review", args=["shop"])).context["disputed"] == []

    def test_takes_no_slot_and_is_marked_in_the_export(self, study, manager):
        task = TaskFactory(study=study)
        shown = list(task.places.values_list("response_id", flat=True))
        adjudicate(task=task, expert=manager, shown=shown, answer=Answer(ranks=[1, 2]))
        task.refresh_from_db()
        assert task.slots_taken == 0
        assert {row[4] for row in raw_rows(study)} == {"adjudication"}

    def test_a_second_decision_supersedes_the_first(self, study, manager):
        task = TaskFactory(study=study)
        shown = list(task.places.values_list("response_id", flat=True))
        for ranks in ([1, 2], [2, 1]):
            adjudicate(task=task, expert=manager, shown=shown, answer=Answer(ranks=ranks))
        assert [(j.ranks, j.live) for j in Judgement.objects.order_by("id")] == [([1, 2], False), ([2, 1], True)]

    def test_an_expert_who_rates_may_decide_the_same_task(self, study, manager):
        task = TaskFactory(study=study)
        submit(assignment=lease_next(rater=manager), answer=Answer(ranks=[1, 2]))
        shown = list(task.places.values_list("response_id", flat=True))
        adjudicate(task=task, expert=manager, shown=shown, answer=Answer(ranks=[1, 1]))
        assert Judgement.objects.live().filter(rater=manager).count() == 2


class TestKnownAnswers:
    def test_are_made_changed_and_taken_out_on_the_pages(self, client, study, manager):
        task = TaskFactory(study=study)
        address = reverse("known-answer", args=["shop", task.pk])
        assert client.get(reverse("known-answer-new", args=["shop"])).url == address
        page = client.post(address, {"purpose": "gold", "explanation": "It is right."})
        assert page.status_code == 422
        client.post(address, {"preference": "b1", "purpose": "gold", "explanation": "It is right."})
        task.refresh_from_db()
        assert (task.purpose, task.known_answer.ranks) == (Purpose.GOLD, [2, 1])
        client.post(address, {"preference": "a1", "purpose": "practice", "explanation": ""})
        task.refresh_from_db()
        assert (task.purpose, task.known_answer.ranks) == (Purpose.PRACTICE, [1, 2])
        assert client.get(reverse("review", args=["shop"])).context["known"].count() == 1
        client.post(reverse("known-answer-take-out", args=["shop", task.pk]))
        assert client.get(reverse("review", args=["shop"])).context["known"].count() == 0

    def test_a_task_that_was_begun_is_refused_in_words(self, client, study, manager):
        task = TaskFactory(study=study)
        vote(study, [1, 2])
        data = {"preference": "b1", "purpose": "gold"}
        page = client.post(reverse("known-answer", args=["shop", task.pk]), data)
        assert page.status_code == 422
        assert "votes would be lost" in page.content.decode()

    def test_without_an_untouched_task_the_page_says_so(self, client, study, manager):
        page = client.get(reverse("known-answer-new", args=["shop"]), follow=True)
        assert "Every task has been begun" in page.content.decode()

    def test_is_no_dispute(self, client, study, manager):
        set_known_answer(task=TaskFactory(study=study), purpose=Purpose.GOLD, ranks=[1, 2])
        study.gold_share = 1.0
        study.save()
        for ranks in ([1, 2], [2, 1]):
            vote(study, ranks)
        assert client.get(reverse("review", args=["shop"])).context["disputed"] == []
