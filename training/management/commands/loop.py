"""Run the whole loop unattended, as `make loop` does."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotate.models.studies import Study
from core.command import check_writable, write_json
from core.errors import PalateError
from training.management.demo_studies import STUDIES, make_loop_study, run_job
from training.models import Round, RunKind
from training.registry.cards import figure
from training.rounds.win_rate import win_rate
from training.rounds.win_rate_diagnosis import diagnose

# The numbers of prompts whose responses by the current policy are judged again in later rounds.
PROMPTS_PER_LATER_ROUND = {"train": 120, "validation": 40}


class Command(BaseCommand):
    help = (
        "Run the loop on a new demo study with simulated raters: pretrain, generate, judge, train the preference "
        "model, tune the policy, and judge the tuned policy blind against the initial one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--prompts", type=int, default=STUDIES["demo-compare"]["prompts"], help="prompts of the study"
        )
        parser.add_argument("--pretrain-steps", type=int, default=0, help="0 takes the default")
        parser.add_argument("--rl-steps", type=int, default=60, help="optimiser steps of rl_finetune (default: 60)")
        parser.add_argument(
            "--rounds", type=int, default=1, help="rounds; each starts from the last policy (default: 1)"
        )
        parser.add_argument("--seed", type=int, default=0, help="seed of every step (default: 0)")
        parser.add_argument("--json", metavar="FILE", help="write the figures to this file")

    def handle(self, *args: Any, **flags: Any) -> None:
        started = time.monotonic()
        try:
            check_writable(flags["json"])
            study = make_loop_study(prompts=flags["prompts"])
            self.stdout.write(f"study {study.slug}")
            if flags["rounds"] < 1:
                raise PalateError(f"--rounds must be at least 1, not {flags['rounds']}")
            figures = run_rounds(
                study,
                rounds=flags["rounds"],
                pretrain_steps=flags["pretrain_steps"],
                rl_steps=flags["rl_steps"],
                seed=flags["seed"],
            )
        except (PalateError, ValueError) as error:
            raise CommandError(str(error)) from error
        figures["seconds"] = round(time.monotonic() - started, 1)
        write_json(flags["json"], figures)
        self.stdout.write(table(figures))


def run_rounds(study: Study, *, rounds: int, pretrain_steps: int, rl_steps: int, seed: int) -> dict[str, Any]:
    """Return the figures of the last round, with those of the previous rounds in "earlier"."""
    policy = run_job(RunKind.PRETRAIN, study, {"max_steps": pretrain_steps, "seed": seed}).result["model"]
    run_job(RunKind.GENERATE, study, {"model": policy, "num_generations": 4, "seed": seed})
    judge_all(study, seed)
    figures_by_round = []
    for number in range(rounds):
        if number:
            # The preference model was trained on the previous policy's responses, so some of the current one's are
            # judged.
            for split, limit in PROMPTS_PER_LATER_ROUND.items():
                values = {"model": policy, "num_generations": 2, "split": split, "limit": limit, "seed": seed + number}
                run_job(RunKind.GENERATE, study, values)
            judge_all(study, seed + number)
        policy, figures = run_round(study, policy, rl_steps=rl_steps, seed=seed + number)
        figures_by_round.append(figures)
    return {"study": study.slug, **figures_by_round[-1], "earlier": figures_by_round[:-1]}


def run_round(study: Study, policy: str, *, rl_steps: int, seed: int) -> tuple[str, dict[str, Any]]:
    """Run one round from a policy with judged responses; return the next policy and the round's figures."""
    preference = run_job(RunKind.TRAIN_PREFERENCE, study, {"base_model": policy, "seed": seed}).result
    values = {"policy": policy, "reward": preference["model"], "max_steps": rl_steps, "seed": seed}
    tuned = run_job(RunKind.RL_FINETUNE, study, values).result
    number = run_job(RunKind.NEXT_ROUND, study, {"policy": tuned["model"], "seed": seed}).result["round"]
    # Other raters than those whose judgements the preference model learned from.
    judge_all(study, seed + 1)
    finished = Round.objects.get(study=study, number=number)
    rate = win_rate(finished)
    return tuned["model"], {
        "preference": preference["evaluation"],
        "policy": {"before": tuned["before"], "after": tuned["after"]},
        "win_rate": {
            "value": rate.value,
            "interval": [rate.low, rate.high],
            "judgements": rate.judgements,
            "prompts": rate.prompts,
        },
        "diagnosis": diagnose(finished, rate),
    }


def judge_all(study: Study, seed: int) -> None:
    """Let a crowd of simulated raters judge every open task of the study."""
    open_slots = sum(task.replication - task.slots_taken for task in study.tasks.with_free_slot())
    run_job(RunKind.SIMULATE, study, {"judgements": open_slots, "seed": seed})


def table(figures: dict[str, Any]) -> str:
    earlier = [_format_rate(row["win_rate"]) for row in figures["earlier"]]
    preference, before, after = figures["preference"], figures["policy"]["before"], figures["policy"]["after"]
    rate = figures["win_rate"]
    rows = [
        ("preference accuracy, held-out prompts", figure(preference, "accuracy")),
        ("  baseline: longer wins", figure(preference, "baselines.longer")),
        ("  baseline: majority slot", figure(preference, "baselines.majority")),
        ("  one rater against the others", figure(preference, "baselines.rater_vs_others")),
        ("reward before → after", f"{before['reward']:.3f} → {after['reward']:.3f}"),
        ("quality before → after", f"{before['quality']:.3f} → {after['quality']:.3f}"),
        ("KL before → after (nats a response)", f"{before['kl']:.3f} → {after['kl']:.3f}"),
        ("length before → after (tokens)", f"{before['length']:.1f} → {after['length']:.1f}"),
        *((f"blind win rate, round {n}", rate) for n, rate in enumerate(earlier, start=1)),
        ("blind win rate of the tuned policy", _format_rate(figures["win_rate"])),
        ("  judgements, prompts", f"{rate['judgements']}, {rate['prompts']}"),
        ("time", f"{figures['seconds']:.0f} s"),
    ]
    width = max(len(label) for label, _ in rows)
    reasons = [
        f"round {n}, no improvement: {reason}"
        for n, row in enumerate([*figures["earlier"], figures], start=1)
        for reason in row["diagnosis"]
    ]
    return "\n" + "\n".join([*(f"{label:<{width}}  {value}" for label, value in rows), *reasons])


def _format_rate(rate: dict[str, Any]) -> str:
    low, high = rate["interval"]
    return f"{rate['value']:.3f} [{low:.3f}, {high:.3f}]"
