"""The page that compares two runs of a kind: different options and results."""

import re

import pytest
from django.urls import reverse

from tests.factories import MembershipFactory
from training.models import ModelKind, ModelVersion, Run, RunKind, RunState
from training.web.compare_runs import Row, compare_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager():
    return MembershipFactory(role="manager")


@pytest.fixture
def both(manager):
    return [a_run(manager.study, algorithm, gain) for algorithm, gain in (("rloo", 1.0), ("grpo", 2.0))]


def a_run(study, algorithm, gain):
    """Its reward is so many times √KL; the second look is twice as far as the gain says."""
    config = {"policy": "<b>writer</b>", "algorithm": algorithm}
    run = Run.objects.create(
        study=study, kind=RunKind.RL_FINETUNE, state=RunState.DONE, config=config, result={"steps": 10 * gain}
    )
    for step, root in ((0, 0.0), (10, 2 * gain)):
        run.points.create(step=step, values={"held_out_kl": root**2, "held_out_reward": gain * root, "loss": step})
    return run


def test_what_differs_and_what_came_of_it(both):
    page = compare_runs(*both)
    assert page["options"] == [Row("Algorithm", "rloo", "grpo")]
    assert page["results"] == [Row("Steps", "10", "20")]
    assert [curve["now"] for curve in page["curves"] if curve["name"] == "Loss"] == [["10", "10"]]


def test_an_option_that_nobody_gave_is_compared_by_its_default(both):
    first, second = both
    first.config |= {"max_steps": 60, "algorithm": "grpo"}
    second.config |= {"beta": 0.5}
    assert compare_runs(first, second)["options"] == [Row("KL coefficient (beta)", 0.05, 0.5)]
    del first.config["policy"]  # which has no default
    assert compare_runs(first, second)["options"] == [
        Row("KL coefficient (beta)", 0.05, 0.5),
        Row("Policy", "–", "<b>writer</b>"),
    ]


def test_rewards_of_unlike_models_are_not_for_comparing(client, manager, both):
    first, second = both
    assert compare_runs(first, second)["unlike"] == []
    second.config |= {"reward": "/models/other"}
    second.save()
    assert compare_runs(first, second)["unlike"] == ["Reward model"]
    client.force_login(manager.user)
    page = client.get(reverse("run-compare", args=[first.pk, second.pk])).content.decode()
    assert "Not the same in both: Reward model." in page


def test_tunings_are_compared_at_the_largest_kl_that_both_came_to(both):
    page = compare_runs(*both)
    assert page["common"] == 4.0
    assert page["equal"] == [Row("Reward", 2.0, 4.0)]
    (chart,) = page["charts"]
    assert (chart.first, chart.second) == ("0.0,117.0 300.0,88.5", "0.0,117.0 600.0,3.0")
    both[1].points.filter(step=10).delete()
    assert "charts" not in compare_runs(*both)


def test_the_page_of_a_run_leads_to_the_others_of_its_kind(client, manager, both):
    Run.objects.create(study=manager.study, kind=RunKind.PRETRAIN)
    ModelVersion.objects.create(study=manager.study, kind=ModelKind.POLICY, name="<b>writer</b>", path="/w")
    client.force_login(manager.user)
    first, second = both
    page = client.get(reverse("run", args=[first.pk])).content.decode()
    (found,) = re.findall(rf'href="(/runs/{first.pk}/compare/[^"]+)"', page)
    assert found == reverse("run-compare", args=[first.pk, second.pk])
    text = client.get(found).content.decode()
    for words in ("Algorithm", "rloo", "grpo", "At 4.00 nats", "4.000"):
        assert words in text
    assert "<b>writer" not in text


def test_a_run_of_another_kind_or_study_is_not_there(client, manager, both):
    other_kind = Run.objects.create(study=manager.study, kind=RunKind.PRETRAIN)
    foreign = a_run(MembershipFactory().study, "ppo", 1.0)
    client.force_login(manager.user)
    for other in (other_kind, foreign, both[0]):
        assert client.get(reverse("run-compare", args=[both[0].pk, other.pk])).status_code == 404
    assert client.get(reverse("run-compare", args=[foreign.pk, both[0].pk])).status_code == 404
