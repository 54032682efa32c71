"""The jobs by the kind of run they do."""

from training.engine.runtime.stopping import STOPS
from training.jobs import (
    distil_preference,
    evaluate_preference,
    generate_responses,
    imports,
    machine_judge,
    make_demo,
    next_round,
    next_tasks,
    pretrain,
    rl_finetune,
    score_responses,
    simulate_raters,
    train_preference,
)
from training.models import RunKind
from training.runs import run_errors
from training.runs.job import JOBS
from training.runs.options import words_of

JOBS.update(
    {
        RunKind.PRETRAIN: pretrain.JOB,
        RunKind.GENERATE: generate_responses.JOB,
        RunKind.TRAIN_PREFERENCE: train_preference.JOB,
        RunKind.DISTIL: distil_preference.JOB,
        RunKind.EVALUATE: evaluate_preference.JOB,
        RunKind.SCORE: score_responses.JOB,
        RunKind.RL_FINETUNE: rl_finetune.JOB,
        RunKind.NEXT_ROUND: next_round.JOB,
        RunKind.NEXT_TASKS: next_tasks.JOB,
        RunKind.SIMULATE: simulate_raters.JOB,
        RunKind.MACHINE_JUDGE: machine_judge.JOB,
        RunKind.DEMO: make_demo.JOB,
        RunKind.IMPORT_PROMPTS: imports.PROMPTS_JOB,
        RunKind.IMPORT_JUDGEMENTS: imports.JUDGEMENTS_JOB,
        RunKind.IMPORT_PREFERENCES: imports.PREFERENCES_JOB,
    }
)


def words() -> set[str]:
    """All that pages say of the jobs, their options and their ends."""
    said = {word for job in JOBS.values() for word in (job.summary, *words_of(job.options))}
    return said | set(STOPS.values()) | set(run_errors.WORDS.values())
