"""Evaluate a preference model on a study's live judgements."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.errors import PalateError
from annotate.exchange.records import records_of
from annotate.judgements.models import Judgement
from annotate.studies.models import Study
from training import cards, model_versions
from training.engine.progress import Reporter
from training.jobs.generate_responses import SPLITS
from training.jobs.job import Job, needed, study_of
from training.jobs.options import option
from training.models import ModelKind, Run


@dataclass(frozen=True)
class Options:
    model: str = option(help="the preference model: a model version or a folder", of_model="preference")
    split: str = option("test", help="which prompts", choices=SPLITS)


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    model_versions.locate(study, options.model, flag="MODEL", kind=ModelKind.PREFERENCE)
    live = Judgement.objects.counted().of_study(study)
    if not live.exists():
        raise PalateError(f"study {study.slug} has no judgements yet; collect or import some first")
    if not live.in_split(options.split).exists():
        raise PalateError(
            f"--split {options.split}: study {study.slug} has no judgements in this split; try --split all"
        )


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    study = study_of(run)
    path = model_versions.locate(study, options.model, flag="MODEL", kind=ModelKind.PREFERENCE)
    figures = evaluate_split(study, path, options.split)
    if figures is None:
        raise PalateError(
            f"--split {options.split}: study {study.slug} has judgements there, but none compares two responses"
        )
    reporter.log(cards.told(figures))
    return {"model": path, "study": study.slug, "split": options.split, **figures}


def evaluate_split(study: Study, path: str | Path, split: str) -> dict[str, Any] | None:
    """The figures of evaluate_preference on the study's live judgements of a split; None when it has none."""
    from training.engine.evaluation import evaluate
    from training.engine.records import pairs_of
    from training.engine.reward import PreferenceModel

    records = list(records_of(Judgement.objects.counted().of_study(study).in_split(split)))
    return evaluate(PreferenceModel.load(path), records) if pairs_of(records) else None


JOB = Job(
    Options,
    check,
    perform,
    "Evaluate a preference model on a study's judgements, with baselines and intervals.",
)
