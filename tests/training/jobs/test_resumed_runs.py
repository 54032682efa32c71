"""Trainings whose worker is killed in their midst go on from their checkpoint, and end as if nothing had happened."""

import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from huggingface_hub import ModelCard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.prompts import Split
from annotate.models.studies import Study
from tests.factories import MembershipFactory, PromptFactory, TaskFactory
from tests.training.real_worker import wait_for
from training.engine.preference import fitting
from training.models import ModelVersion, Run, RunKind, RunState
from training.runs import operations, queue
from training.runs.reporting import run_folder

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def killed_and_whole(study, start_worker, settings):
    """Does a run twice: once without a kill, and once by a worker that is killed after a checkpoint and another that
    does it to the end, when the study has got more prompts and judgements. `before`: runs whose models it needs."""

    def queued(kind, values):
        return operations.queue_run(kind=kind, study=Study.objects.get(slug=study), values=values)

    def done(run):
        wait_for(run, lambda run: run.ended)
        assert run.state == RunState.DONE, run.error
        return run

    def do(kind, values, *, checkpoint, before=()):
        worker = start_worker()
        for run in before:
            done(queued(*run))
        whole, killed = done(queued(kind, values)), queued(kind, values)
        wait_for(killed, lambda run: (run_folder(run) / checkpoint).exists())
        points = killed.points.count()
        wait_for(killed, lambda run: run.points.count() > points)  # which the next worker makes again
        worker.kill()
        killed.refresh_from_db()
        assert killed.state == RunState.RUNNING
        go_on_collecting(killed.study)
        settings.RUN_LOST_AFTER_SECONDS = 0
        assert queue.requeue_lost_runs() == 1
        start_worker()
        return done(killed), whole

    return do


def go_on_collecting(study):
    for split in (Split.TRAIN, Split.VALIDATION):
        TaskFactory(study=study, prompt=PromptFactory(study=study, split=split))
    rater = MembershipFactory(study=study)
    while assignment := lease_next(rater=rater):
        submit(assignment=assignment, answer=Answer(ranks=[2, 1], scores={"helpful": [20, 80]}))


def assert_the_same(killed, whole):
    assert (killed.attempts, whole.attempts) == (2, 1)
    resumed = re.search(r"resumed from step (\d+)", killed.log_tail)
    assert resumed, killed.log_tail
    assert 0 < int(resumed[1]) < whole.step
    expected = figures(whole.result)
    assert figures(killed.result) == pytest.approx(expected, abs=1e-4)
    # Each step stands once in the curves and among the samples, though some were done twice.
    for rows in ("points", "samples"):
        steps = [list(getattr(run, rows).values_list("step", flat=True)) for run in (killed, whole)]
        assert steps[0] == steps[1]
    assert not list(run_folder(killed).glob("*.pt"))


def figures(value, name=""):
    """All numbers of a result, by their place in it; but which model it is."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        inside = (figures(value[key], f"{name}.{key}") for key in value if key != "model_version")
        return {place: number for numbers in inside for place, number in numbers.items()}
    return {name: value} if isinstance(value, (int, float)) else {}


def on_the_board(run):
    """What TensorBoard shows of the run: each measure's name with its steps and values."""
    board = EventAccumulator(str(run_folder(run) / "tracked"))
    board.Reload()
    return {
        name: [(point.step, pytest.approx(point.value, nan_ok=True)) for point in board.Scalars(name)]
        for name in board.Tags()["scalars"]
    }


def in_the_curves(run):
    curves = {}
    for point in run.points.order_by("pk"):
        for name, value in point.values.items():
            curves.setdefault(name, []).append((point.step, value))
    return curves


def test_train_preference(killed_and_whole):
    values = {"kind": "cnn", "min_steps": 240, "early_stopping_patience": 0, "explain": 0}
    killed, whole = killed_and_whole("train_preference", values, checkpoint="preference-1.pt")
    assert_the_same(killed, whole)
    assert killed.result["evaluation"]["accuracy"] == 1
    assert ModelVersion.objects.filter(run=killed).count() == 1


def test_rl_finetune(killed_and_whole):
    before = [
        ("pretrain", {"documents": 200, "max_steps": 10, "name": "writer", "report_to": "tensorboard"}),
        ("train_preference", {"kind": "linear", "explain": 0, "name": "taste"}),
    ]
    values = {"policy": "writer", "reward": "taste", "algorithm": "ppo", "kl_target": 1, "max_steps": 16, "best_of": 2}
    values["report_to"] = "tensorboard"
    small = {"prompts_per_step": 4, "num_generations": 2, "max_completion_length": 16, "eval_steps": 4}
    killed, whole = killed_and_whole(
        "rl_finetune", {**values, **small, "save_steps": 3}, checkpoint="checkpoint.pt", before=before
    )
    assert_the_same(killed, whole)
    assert [row["step"] for row in killed.result["frontier"]] == [0, 4, 8, 12, 16]
    card = ModelCard.load(Path(killed.result["model"]) / "README.md")
    assert (card.data.pipeline_tag, card.data.tags) == ("text-generation", ["palate", "rlhf", "ppo"])
    for run in (killed, whole, Run.objects.get(kind=RunKind.PRETRAIN)):
        assert on_the_board(run) == in_the_curves(run)


def test_the_same_command_goes_on_where_a_killed_one_was(study, settings, tmp_path, monkeypatch):
    flags = {"study": study, "kind": "cnn", "min_steps": 60, "early_stopping_patience": 0, "explain": 0}
    monkeypatch.setattr(fitting, "CHECKPOINT_SECONDS", 0.0)
    call_command("train_preference", **flags)

    def killed_at(_reporter, step, _total):
        if step == 32:
            raise SystemExit  # which is no error that a run ends with: its row still says that it is running

    with monkeypatch.context() as dying:
        dying.setattr(fitting, "advance", killed_at)
        with pytest.raises(SystemExit):
            call_command("train_preference", **flags)
    with pytest.raises(CommandError, match="has the same options and a recent heartbeat"):
        call_command("train_preference", **flags)
    settings.RUN_LOST_AFTER_SECONDS = 0
    go_on_collecting(Study.objects.get(slug=study))
    call_command("train_preference", **flags)
    whole, killed = Run.objects.filter(kind=RunKind.TRAIN_PREFERENCE).order_by("pk")
    assert killed.state == RunState.DONE
    assert_the_same(killed, whole)


@pytest.mark.parametrize(("ensemble", "evaluation"), [(1, 10), (2, 30)])
def test_a_kill_between_a_checkpoint_and_the_evaluation_that_follows_takes_no_point_of_a_curve(
    study, settings, monkeypatch, ensemble, evaluation
):
    """Each of the steps has a checkpoint and an evaluation, every fifth a loss; of two models the second one dies."""
    flags = {
        "study": study,
        "kind": "cnn",
        "min_steps": 20,
        "early_stopping_patience": 0,
        "explain": 0,
        "ensemble": ensemble,
    }
    monkeypatch.setattr(fitting, "CHECKPOINT_SECONDS", 0.0)
    call_command("train_preference", **flags)
    evaluated = []
    evaluate = fitting.Fit._evaluate

    def dies(fit, *args):
        evaluated.append(fit.state.step)
        if len(evaluated) == evaluation:
            raise SystemExit
        evaluate(fit, *args)

    with monkeypatch.context() as dying:
        dying.setattr(fitting.Fit, "_evaluate", dies)
        with pytest.raises(SystemExit):
            call_command("train_preference", **flags)
    settings.RUN_LOST_AFTER_SECONDS = 0
    call_command("train_preference", **flags)
    assert evaluated[-1] == 10
    whole, killed = Run.objects.filter(kind=RunKind.TRAIN_PREFERENCE).order_by("pk")
    assert "resumed from step 10" in killed.log_tail
    result = [[(point.step, *point.values) for point in run.points.order_by("pk")] for run in (whole, killed)]
    assert len(result[0]) == ensemble * (20 + 4)
    assert result[1] == result[0]
