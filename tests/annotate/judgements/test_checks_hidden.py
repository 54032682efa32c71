"""A rater cannot tell from own answers which tasks were checks, and correcting one changes no check."""

import re

import pytest
from django.urls import reverse

from annotate.collection.gold import results_of, set_known_answer
from annotate.collection.judgements import Answer, correct, submit
from annotate.collection.leases import lease_next
from annotate.models.choices import Part, Purpose
from annotate.models.judgements import Judgement
from core.errors import PalateError
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rater():
    return MembershipFactory(study=StudyFactory(slug="shop", replication=9, quiz_minimum=0.0))


def judged(rater, purpose, ranks=(1, 2)):
    study = rater.study
    task = TaskFactory(study=study, prompt__text="The same prompt.")
    if purpose != Purpose.COLLECT:
        set_known_answer(task=task, purpose=purpose, ranks=[1, 2])
    study.gold_share = 1.0 if purpose == Purpose.GOLD else 0.0
    study.save()
    assignment = lease_next(rater=rater)
    assert assignment.task == task
    return submit(assignment=assignment, answer=Answer(ranks=list(ranks)))


def blank(page):
    """The page without what differs between any two answers: numbers, texts of the responses, tokens."""
    return re.sub(r"\d+|[0-9a-f-]{36}|csrfmiddlewaretoken\S+ value=\S+|nonce-\S+", "", page)


@pytest.mark.parametrize("purpose", [Purpose.GOLD, Purpose.QUIZ])
def test_history_and_correction_are_the_same_for_checks(client, rater, purpose):
    answers = [judged(rater, purpose), judged(rater, Purpose.COLLECT)]
    client.force_login(rater.user)
    history = client.get(reverse("history", args=["shop"])).content.decode()
    rows = [blank(row) for row in re.findall(r"<tr>\s*<td>.*?</tr>", history, re.DOTALL)]
    assert len(rows) == 2
    assert rows[0] == rows[1]
    pages, sent = [], []
    for judgement in answers:
        address = reverse("correct", args=[judgement.pk])
        pages.append(blank(client.get(address).content.decode()))
        answer = client.post(address, {"preference": "b1"})
        sent.append((answer.status_code, answer.url))
        client.get(answer.url)
    assert pages[0] == pages[1]
    assert sent[0] == sent[1] == (302, reverse("history", args=["shop"]))
    assert all(not Judgement.objects.get(pk=judgement.pk).live for judgement in answers)


def test_undoing_the_last_answer_works_for_a_check(client, rater):
    judgement = judged(rater, Purpose.GOLD)
    client.force_login(rater.user)
    page = client.get(reverse("undo", args=["shop"]), follow=True)
    assert page.context["judgement"] == judgement
    assert client.post(page.redirect_chain[-1][0], {"preference": "b1"}).url == reverse("rate", args=["shop"])


@pytest.mark.parametrize("purpose", [Purpose.GOLD, Purpose.QUIZ])
@pytest.mark.parametrize("first", [[1, 2], [2, 1]])
def test_what_counts_for_a_check_is_the_first_answer(rater, purpose, first):
    judgement = judged(rater, purpose, first)
    before = results_of(rater, purpose)
    second = correct(judgement=judgement, answer=Answer(ranks=first[::-1]))
    correct(judgement=second, answer=Answer(ranks=[1, 1]))
    assert results_of(rater, purpose) == before
    assert len(before) == 1


def test_whether_others_agree_is_said_for_checks_too(client, rater):
    study = rater.study
    study.show_agreement = True
    notices = []
    for purpose in (Purpose.GOLD, Purpose.COLLECT):
        first, second = MembershipFactory(study=study), MembershipFactory(study=study)
        judged(first, purpose)
        client.force_login(second.user)
        address = reverse("judge", args=[lease_next(rater=second).pk])
        answer = client.post(address, {"preference": "tie"}, headers={"Accept": "application/json"})
        notices.append(answer.json()["notices"])
        study.tasks.update(withdrawn=True)
    assert notices[0] == notices[1] == ["0 of 1 other rater said the same."]


def test_a_better_version_is_not_corrected_by_itself(client, rater):
    rater.study.ask_rewrite = True
    rater.study.save()
    TaskFactory(study=rater.study)
    vote = submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[2, 1], rewrite="First."))
    rewrite = vote.rewrites.get()
    with pytest.raises(PalateError, match="with the answer that it was given with"):
        correct(judgement=rewrite, answer=Answer(ranks=[1, 2]))
    client.force_login(rater.user)
    assert client.get(reverse("correct", args=[rewrite.pk])).status_code == 404
    second = correct(judgement=vote, answer=Answer(ranks=[2, 1], rewrite="Second."))
    correct(judgement=second, answer=Answer(ranks=[1, 2], rewrite="Third."))
    live = Judgement.objects.live().filter(part=Part.REWRITE)
    assert live.count() == 1
    assert live.get().source.live
