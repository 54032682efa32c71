"""The whole loop in small, with the real parts: model, raters, database, files."""

import csv
import json

import pytest
from django.core.management import CommandError, call_command

from annotate.analytics.selection import default_selection
from annotate.models.judgements import Judgement
from annotate.models.prompts import Response
from annotate.models.studies import Study
from training.models import ModelKind, Round, Run, RunState
from training.rounds.win_rate_diagnosis import agreement

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.slow
def test_one_turn_of_the_loop(settings, tmp_path):
    settings.MODELS_DIR = tmp_path / "models"
    settings.RUNS_DIR = tmp_path / "runs"
    call_command("loop", prompts=30, pretrain_steps=12, rl_steps=2, json=str(tmp_path / "loop.json"))
    figures = json.loads((tmp_path / "loop.json").read_text())
    study = Study.objects.get(slug=figures["study"])

    # Every run ended well, every judgement is marked as simulated, no rater judged a task twice.
    assert set(Run.objects.values_list("state", flat=True)) == {RunState.DONE}
    assert set(Judgement.objects.values_list("rater__kind", flat=True)) == {"simulated"}
    assert all(task.judgements.count() == task.replication for task in study.tasks.all())

    # Lineage: the tuned policy knows its start, its reward and, through it, the snapshot without test prompts.
    round_ = Round.objects.get(study=study)
    tuned = round_.policy
    assert (tuned.parent, tuned.reward.kind) == (round_.against, ModelKind.PREFERENCE)
    learned = Judgement.objects.filter(pk__in=tuned.reward.snapshot.judgement_ids)
    assert set(learned.values_list("task__prompt__split", flat=True)) == {"train", "validation"}
    assert set(round_.tasks.values_list("prompt__split", flat=True)) == {"test"}
    compared = tuned.run.samples.filter(before__isnull=False)
    assert compared
    for sample in compared:
        assert "".join(text for text, _ in sample.changes["after"]) == sample.response
        assert "".join(text for text, _ in sample.changes["before"]) == sample.before
    assert figures["policy"]["before"]["kl"] == pytest.approx(0, abs=1e-3)
    assert 0 <= figures["win_rate"]["value"] <= 1

    # What the round's policy and its start wrote is scored by the preference model, and the figures say why not.
    assert (
        tuned.reward.response_rewards.filter(response__places__task__round=round_).count() == 2 * round_.tasks.count()
    )
    assert agreement(round_, default_selection(round_.study)) is not None
    assert bool(figures["diagnosis"]) == (figures["win_rate"]["interval"][0] <= 0.5)

    # A further round pairs the policy with its start's best of three as well, under an author's name of its own.
    call_command(
        "next_round",
        study=study.slug,
        policy=tuned.path,
        best_of=3,
        pairs_per_prompt=1,
        limit=4,
        max_completion_length=24,
    )
    plain, best = study.rounds.order_by("number")[1:]
    assert (plain.best_of, best.best_of) == (1, 3)
    chosen = Response.objects.filter(places__task__round=best, author_model=None)
    assert set(chosen.values_list("author_name", flat=True)) == {f"{round_.against.name}, best of 3"}
    assert set(best.tasks.values_list("responses__author_model", flat=True)) == {tuned.pk, None}
    with pytest.raises(CommandError, match="at least 2"):
        call_command("next_round", study=study.slug, policy=tuned.path, best_of=1)

    # What was saved opens in transformers, and the figures come out of the command again.
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    AutoModelForCausalLM.from_pretrained(tuned.path)
    AutoModelForSequenceClassification.from_pretrained(tuned.reward.path)
    call_command(
        "evaluate_preference", tuned.reward.path, study=study.slug, split="test", json=str(tmp_path / "e.json")
    )
    evaluated = json.loads((tmp_path / "e.json").read_text())
    assert {"pairs", "accuracy", "accuracy_clear", "pairs_clear", "log_loss", "ece", "kendall_tau"} <= set(evaluated)
    assert {"longer", "majority", "rater_vs_others"} <= set(evaluated["intervals"]["baselines"])

    call_command("export_preferences", study=study.slug, format="pairs", output=str(tmp_path / "pairs.csv"))
    with (tmp_path / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(row["raters"] == row["simulated_raters"] for row in rows)
