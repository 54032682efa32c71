"""A round that raters do not prefer says why not, from its own figures."""

import pytest
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import create_tasks, lease_next
from annotate.models.selection import JudgementSelection
from tests.factories import MembershipFactory, PromptFactory, ResponseFactory
from training.models import ModelKind, ModelVersion, ResponseReward, Round, Run, RunKind, RunState
from training.rounds.win_rate import win_rate
from training.rounds.win_rate_diagnosis import agreement, diagnose

pytestmark = pytest.mark.django_db

EVALUATION = {"accuracy": 0.9}
PROMPTS = 8


@pytest.fixture
def manager():
    return MembershipFactory(role="manager")


@pytest.fixture
def play(manager):
    """A round of a policy of which two texts to each of eight prompts are judged, and one more is the same as the other
    policy's. won: on how many prompts it wins. rewards: of (its text, the other's) by the preference model."""

    def make(*, won, rewards=(2.0, 1.0), gain=1.0, result=None, config=None):
        study = manager.study
        run = Run.objects.create(
            study=study, kind=RunKind.RL_FINETUNE, state=RunState.DONE, config=config or {}, result=result or {}
        )
        for n in range(6):
            run.samples.create(step=9, prompt=str(n), before="a", before_reward=n, response="b", reward=n + gain)
        kinds = {"base": ModelKind.POLICY, "reward": ModelKind.PREFERENCE}
        base, reward = (
            ModelVersion.objects.create(
                study=study, kind=kind, name=name, path=f"/{name}", metrics={"evaluation": EVALUATION}
            )
            for name, kind in kinds.items()
        )
        tuned = ModelVersion.objects.create(
            study=study, kind=ModelKind.POLICY, name="tuned", path="/tuned", run=run, reward=reward, parent=base
        )
        round_ = Round.objects.create(study=study, number=1, policy=tuned, against=base, preference=reward)
        written = Run.objects.create(study=study, kind=RunKind.NEXT_ROUND, state=RunState.DONE)
        for number in range(PROMPTS):
            prompt = PromptFactory(study=study)
            pair = [
                ResponseFactory(prompt=prompt, author_model=author, author_name="", run=written)
                for author in (tuned, base)
            ]
            for author in (tuned, base):  # which is no task
                ResponseFactory(prompt=prompt, author_model=author, author_name="", run=written, text="The same.")
            ResponseFactory(prompt=prompt, author_model=tuned, author_name="", run=written)  # beside which is nothing
            for response, value in zip(pair, rewards, strict=True):
                ResponseReward.objects.create(version=reward, response=response, reward=value, log_odds=value)
            create_tasks(study=study, response_sets=[pair], round=round_)
            assignment = lease_next(rater=manager)
            mine = assignment.shown.index(pair[0].pk)
            wins = number < won
            submit(assignment=assignment, answer=Answer(ranks=[1, 2] if (mine == 0) == wins else [2, 1]))
        return round_

    return make


def report(round_):
    return " ".join(diagnose(round_, win_rate(round_)))


def test_a_round_that_is_preferred_needs_no_reason(play):
    round_ = play(won=8)
    assert win_rate(round_).low > 0.5
    assert diagnose(round_, win_rate(round_)) == []


def test_before_the_first_judgement_nothing_is_said(play):
    round_ = play(won=4)
    empty = Round.objects.create(study=round_.study, number=2, policy=round_.policy)
    assert diagnose(empty, win_rate(empty)) == []


def test_judgements_and_pairs_are_counted(play):
    output = report(play(won=4))
    assert "Judgements: 8; prompts: 8" in output
    assert "In 8 of 16 pairs both policies wrote the same words" in output


def test_a_preference_model_that_guesses_on_the_new_texts_is_named(play):
    round_ = play(won=4)
    assert agreement(round_, JudgementSelection())[0] == 0.5
    output = report(round_)
    assert "on the held-out judgements that it was tested on, 0.90. That is no better than guessing" in output
    assert "the raters do not prefer it: the preference model rewards what they do not" in output


def test_where_it_orders_them_as_raters_do_that_is_said_instead(play):
    round_ = play(won=0, rewards=(1.0, 2.0), gain=0.0)
    assert agreement(round_, JudgementSelection()) == (1.0, pytest.approx(0.511, abs=1e-3), 1.0)
    output = report(round_)
    assert "orders 1.00 [0.51, 1.00] of this round's pairs" in output
    assert "guessing" not in output
    assert "little left to win" in output


def test_a_round_that_nobody_scored_leaves_the_preference_model_out(play):
    round_ = play(won=4)
    ResponseReward.objects.all().delete()
    assert agreement(round_, JudgementSelection()) is None
    assert "orders" not in report(round_)


def test_what_the_tuning_tells(play):
    result = {
        "stopped": "KL 9.10 exceeds the limit of 9 nats", "steps": 30, "best_step": 20,
        "before": {"self_bleu": 0.7, "kl": 0.0}, "after": {"self_bleu": 0.95, "kl": 8.2},
    }  # fmt: skip
    output = report(play(won=4, result=result, config={"max_kl": 9.0}))
    assert (
        "stopped at step 30, and the checkpoint of step 20 was restored: KL 9.10 exceeds the limit of 9 nats." in output
    )
    assert "It used 8.2 of the 9 nats" in output
    assert "self-BLEU 0.95, before 0.70" in output
    assert "most of its texts" not in output


def test_a_policy_that_hardly_moved(play):
    assert "It moved by 0.26 nats" in report(play(won=4, result={"before": {}, "after": {"kl": 0.26}}))


def test_the_page_of_the_round_says_it(play, client, manager):
    round_ = play(won=4)
    client.force_login(manager.user)
    page = client.get(reverse("round", args=[round_.study.slug, round_.number])).content.decode()
    assert "Why it did not rise" in page
    assert "both policies wrote the same words" in page
