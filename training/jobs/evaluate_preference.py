"""Evaluate a preference model on a study's live judgements."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.exchange.exporters.records import records_of
from annotate.models.judgements import Judgement
from annotate.models.studies import Study
from core.errors import PalateError
from core.records import Record
from training.engine.runtime.progress import Reporter
from training.jobs.generate_responses import SPLITS
from training.models import ModelKind, Run
from training.registry import cards, model_versions
from training.runs.job import Job, needed, study_of
from training.runs.options import PRECISION, option


@dataclass(frozen=True)
class Options:
    model: str = option(
        label=gettext_lazy("Model"),
        help=gettext_lazy("the preference model"),
        of_model="preference",
    )
    split: str = option(
        "test",
        label=gettext_lazy("Split"),
        help=gettext_lazy("which prompts"),
        choices=SPLITS,
    )
    precision: str = PRECISION


def check(study: Study | None, options: Options) -> None:
    study = needed(study)
    path = model_versions.locate(study, options.model, flag="MODEL", kind=ModelKind.PREFERENCE)
    model_versions.check_precision(path, options.precision)
    live = Judgement.objects.counted().of_study(study)
    if not live.exists():
        raise PalateError(
            _("study %(study)s has no judgements yet; collect or import some first") % {"study": study.slug}
        )
    if not live.in_split(options.split).exists():
        message = _("--split %(split)s: study %(study)s has no judgements in this split; try --split all")
        raise PalateError(message % {"split": options.split, "study": study.slug})


def perform(run: Run, options: Options, reporter: Reporter) -> Mapping[str, Any]:
    from core.records import pairs_of
    from training.engine.evaluation.metrics import evaluate
    from training.engine.models.reward import PreferenceModel

    study = study_of(run)
    path = model_versions.locate(study, options.model, flag="MODEL", kind=ModelKind.PREFERENCE)
    records = list(records_of(Judgement.objects.counted().of_study(study).in_split(options.split)))
    if not pairs_of(records):
        message = _("--split %(split)s: study %(study)s has judgements there, but none compares two responses")
        raise PalateError(message % {"split": options.split, "study": study.slug})
    model = PreferenceModel.load(path, options.precision)
    figures = evaluate(model, records)
    reporter.log(cards.format_evaluation(figures))
    result = {"model": path, "study": study.slug, "split": options.split, "precision": options.precision, **figures}
    if options.precision != "float32":
        result["float32"] = _compare_with_float32(model, path, records)
        reporter.log(cards.format_comparison("float32", result["float32"]))
    return result


def _compare_with_float32(model: Any, path: str, records: list[Record]) -> dict[str, Any]:
    """What the coarser numbers lose on these judgements, and how much faster they are on their responses."""
    from training.engine.evaluation.comparison import compare, speeds
    from training.engine.models.reward import PreferenceModel

    group = {(record.prompt, text): record.group for record in records for text in record.responses}
    full = PreferenceModel.load(path)
    comparison = compare(model, full, records, list(group), list(group.values()))
    return {**comparison, "speed": speeds(model, full, list(group))}


JOB = Job(
    Options,
    check,
    perform,
    gettext_lazy("Evaluate a preference model on a study's judgements, with baselines and intervals."),
)
