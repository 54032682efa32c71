"""The jobs by the kind of run they do."""

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
from training.runs.job import JOBS

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
