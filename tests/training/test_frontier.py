"""What a run's page tells of reward and KL, and of the texts before and after."""

import pytest
from django.urls import reverse

from tests.factories import MembershipFactory
from training.models import Run, RunKind, RunPoint
from training.web.frontier import comparisons, frontier

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    manager = MembershipFactory(role="manager")
    run = Run.objects.create(study=manager.study, kind=RunKind.RL_FINETUNE)
    run.manager = manager
    return run


def evaluation(run, step, **figures):
    RunPoint.objects.create(run=run, step=step, values={f"held_out_{name}": value for name, value in figures.items()})


def test_nothing_before_the_second_look(run):
    evaluation(run, 0, kl=0.0, reward=1.0)
    RunPoint.objects.create(run=run, step=1, values={"reward": 1.0})
    assert frontier(run) == {}


def test_looks_and_best_of_n_share_their_axes(run):
    evaluation(run, 0, kl=-0.001, reward=1.0, guard_reward=0.0)
    evaluation(run, 10, kl=4.0, reward=3.0, guard_reward=-1.0)
    run.result = {"best_step": 0, "stopped": "over-optimisation", "best_of": [
        {"n": 1, "kl": 0.0, "reward": 1.0, "guard_reward": 0.0},
        {"n": 4, "kl": 1.0, "reward": 2.0, "guard_reward": 1.0},
    ]}  # fmt: skip
    run.save()
    shown = frontier(run)
    reward, guard = shown["charts"]
    assert reward.tuned == "0.0,117.0 600.0,3.0"
    assert reward.best_of == "0.0,117.0 300.0,60.0"
    assert guard.tuned == "0.0,60.0 600.0,117.0"
    # Best of 4 has a KL of 1, which this run passed half way to √4.
    assert [(chart.top, chart.equal) for chart in (reward, guard)] == [("2", "2"), ("1", "-0.5")]
    assert [row["best"] for row in shown["evaluations"]] == [True, False]
    assert [shown["ended_at_best"], reward.value, guard.value] == [True, "1", "0"]  # of the policy that was saved
    run.result = {}
    unended = frontier(run)
    assert [unended["ended_at_best"], *(chart.value for chart in unended["charts"])] == [False, "3", "-1"]


def test_the_prompt_that_lost_most_comes_first_and_training_samples_are_left_out(run):
    for prompt, before, after in (("a", 1.0, 2.0), ("b", 3.0, 1.0), ("c", 0.0, -1.0)):
        run.samples.create(step=9, prompt=prompt, before="x", response="y", before_reward=before, reward=after)
    run.samples.create(step=1, prompt="d", response="z", reward=-9)
    assert [row.sample.prompt for row in comparisons(run)] == ["b", "c", "a"]


def test_tokens_are_marked_by_how_much_likelier_they_became(run, client):
    hostile = "<script>alert(1)</script>"
    before, after = [["We", 0.1], [" hope", -2.5], ["", 0.7]], [[hostile, 1.2], [" will", 0.6], ["!", -0.2], ["", -1.0]]
    run.samples.create(
        step=9, prompt="p", before="We hope", response=f"{hostile} will!", changes={"before": before, "after": after}
    )
    (row,) = comparisons(run)
    assert [(word.text, word.sign, word.strength) for word in row.before.words if word.text.strip()] == [
        ("We", "up", 0),
        ("hope", "down", 3),
    ]
    assert [word.strength for word in row.after.words] == [2, 0, 1, 0, 2]
    assert (row.before.likelier, row.before.less_likely) == ([("we", 0.1)], [("hope", -2.5)])
    assert (row.before.end, row.after.end) == (0.7, -1.0)
    client.force_login(run.manager.user)
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    assert 'We <span class="word down s3">hope</span>' in page
    assert '<span class="word up s2">&lt;script&gt;alert(1)&lt;/script&gt;</span>' in page
    assert "hope -2.50" in page
    assert "<script>alert" not in page


def test_the_page_shows_both(run, client):
    evaluation(run, 0, kl=0.0, reward=1.0)
    evaluation(run, 10, kl=4.0, reward=3.0)
    run.samples.create(step=9, prompt="the prompt", before="before text", response="after text")
    client.force_login(run.manager.user)
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    for words in ("What the KL was spent on", "Before and after", "before text", "after text", "step 10"):
        assert words in page
