"""What a run's page tells of reward and KL, and of the texts before and after."""

import pytest
from django.urls import reverse

from tests.factories import MembershipFactory
from training.frontier import comparisons, frontier
from training.models import Run, RunKind, RunPoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    manager = MembershipFactory(role="manager")
    run = Run.objects.create(study=manager.study, kind=RunKind.RL_FINETUNE)
    run.manager = manager
    return run


def look(run, step, **figures):
    RunPoint.objects.create(run=run, step=step, values={f"held_out_{name}": value for name, value in figures.items()})


def test_nothing_before_the_second_look(run):
    look(run, 0, kl=0.0, reward=1.0)
    RunPoint.objects.create(run=run, step=1, values={"reward": 1.0})
    assert frontier(run) == {}


def test_looks_and_best_of_n_share_their_axes(run):
    look(run, 0, kl=-0.001, reward=1.0, guard_reward=0.0)
    look(run, 10, kl=4.0, reward=3.0, guard_reward=-1.0)
    run.result = {"kept_step": 0, "stopped": "over-optimisation", "best_of": [
        {"n": 1, "kl": 0.0, "reward": 1.0, "guard_reward": 0.0},
        {"n": 4, "kl": 1.0, "reward": 2.0, "guard_reward": 1.0},
    ]}  # fmt: skip
    run.save()
    shown = frontier(run)
    reward, guard = shown["charts"]
    assert reward.tuned == "0.0,117.0 600.0,3.0"
    assert reward.best_of == "0.0,117.0 300.0,60.0"
    assert guard.tuned == "0.0,60.0 600.0,117.0"
    assert [row["kept"] for row in shown["looks"]] == [True, False]


def test_the_prompt_that_lost_most_comes_first_and_training_samples_are_left_out(run):
    for prompt, before, after in (("a", 1.0, 2.0), ("b", 3.0, 1.0), ("c", 0.0, -1.0)):
        run.samples.create(step=9, prompt=prompt, before="x", response="y", before_reward=before, reward=after)
    run.samples.create(step=1, prompt="d", response="z", reward=-9)
    assert [row.prompt for row in comparisons(run)] == ["b", "c", "a"]


def test_the_page_shows_both(run, client):
    look(run, 0, kl=0.0, reward=1.0)
    look(run, 10, kl=4.0, reward=3.0)
    run.samples.create(step=9, prompt="the prompt", before="before text", response="after text")
    client.force_login(run.manager.user)
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    for words in ("What the KL was spent on", "Before and after", "before text", "after text", "step 10"):
        assert words in page
