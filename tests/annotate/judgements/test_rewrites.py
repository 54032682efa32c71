"""A better version by a rater: a response that beats the one it was made from, wherever preferences go."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotate.analytics.ranking.votes_of_study import Selection, judgements_for
from annotate.collection.judgements import Answer, correct, submit
from annotate.collection.leases import lease_next
from annotate.exchange.exporters import exports
from annotate.members.queries import progress_of
from annotate.models.judgements import Judgement
from annotate.models.prompts import Response
from tests.factories import MembershipFactory, StudyFactory, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rater():
    rater = MembershipFactory(study=StudyFactory(slug="notes", ask_rewrite=True))
    TaskFactory(study=rater.study)
    return rater


def judged(rater, text, ranks=(2, 1)):
    assignment = lease_next(rater=rater)
    return submit(assignment=assignment, answer=Answer(ranks=ranks, rewrite=text))


def pairs(study):
    table = exports.table(study, "pairs")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return {(row["chosen"], row["rejected"]) for row in rows if row["chosen_author"] == "rewrite"}


def text_of(pk):
    return Response.objects.get(pk=pk).text


def test_it_beats_the_best_response_in_exports_and_in_what_models_learn_from(rater):
    judgement = judged(rater, " Much better.\r\nReally. ")
    best = text_of(judgement.shown[1])
    assert pairs(rater.study) == {("Much better.\nReally.", best)}
    made = judgement.rewrites.get()
    assert (judgement.order_known, made.order_known) == (True, False)
    assert made in Judgement.objects.counted()
    assert made.task.replication == 0
    assert lease_next(rater=MembershipFactory(study=rater.study)).task == judgement.task


def test_the_first_shown_of_equals_is_rewritten(rater):
    judgement = judged(rater, "Better than both.", ranks=(1, 1))
    assert pairs(rater.study) == {("Better than both.", text_of(judgement.shown[0]))}


@pytest.mark.parametrize("text", ["", "  ", "same"])
def test_nothing_new_is_no_rewrite(rater, text):
    assignment = lease_next(rater=rater)
    same = text_of(assignment.shown[1])
    submit(assignment=assignment, answer=Answer(ranks=[2, 1], rewrite=same + "\r\n" if text == "same" else text))
    assert Judgement.objects.count() == 1


def test_a_study_that_does_not_ask_keeps_none(rater):
    rater.study.ask_rewrite = False
    rater.study.save()
    judged(rater, "Unasked.")
    assert Judgement.objects.count() == 1


def test_a_correction_takes_it_back_and_shows_it_again(client, rater):
    judgement = judged(rater, "First try.")
    client.force_login(rater.user)
    assert "First try." in client.get(reverse("correct", args=[judgement.pk])).content.decode()
    second = correct(judgement=judgement, answer=Answer(ranks=[2, 1], rewrite="Second try."))
    assert {chosen for chosen, _ in pairs(rater.study)} == {"Second try."}
    correct(judgement=second, answer=Answer(ranks=[2, 1]))
    assert not pairs(rater.study)


def test_what_two_raters_write_alike_is_one_response(rater):
    judgement = judged(rater, "The same words.")
    again = MembershipFactory(study=rater.study)
    assignment = lease_next(rater=again)
    order = [2, 1] if assignment.shown == judgement.shown else [1, 2]
    submit(assignment=assignment, answer=Answer(ranks=order, rewrite="The same words."))
    assert Response.objects.filter(text="The same words.").count() == 1
    assert Judgement.objects.filter(part="rewrite").count() == 2


def test_it_is_no_answer_that_somebody_was_asked_for(client, rater):
    judged(rater, "Mine.")
    assert progress_of(rater).judged == 1
    assert judgements_for(rater.study, Selection()).count() == 1
    client.force_login(rater.user)
    assert len(client.get(reverse("history", args=["notes"])).context["page"].object_list) == 1


def test_it_comes_back_with_a_raw_export(rater, tmp_path):
    judged(rater, "Mine.")
    call_command("export_preferences", study="notes", format="raw", output=str(tmp_path / "raw.csv"))
    call_command("import_preferences", "copy", str(tmp_path / "raw.csv"))
    copied = Judgement.objects.filter(task__study__slug="copy")
    assert sorted(copied.values_list("part", flat=True)) == ["rewrite", "vote"]
