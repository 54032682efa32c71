"""Imports as runs, for the pages: the files were uploaded under var/uploads. The commands import directly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from annotate.exchange.files.memory_limit import at_most
from annotate.exchange.files.rows import wrong
from annotate.exchange.formats.fields import Fields
from annotate.exchange.formats.registry import SHAPES
from annotate.exchange.importers.column_mapping import parse_mapping, parse_scales
from annotate.exchange.importers.judgements import import_judgements
from annotate.exchange.importers.notes import details
from annotate.exchange.importers.preferences import ImportOptions, import_preferences, summary
from annotate.exchange.importers.prompts import Report, import_prompts
from annotate.models.studies import Study
from training.engine.runtime.progress import Cancelled, Reporter
from training.models import Run
from training.runs.job import Job, needed, study_of
from training.runs.options import option


@dataclass(frozen=True)
class PromptOptions:
    file: str = option(help="CSV or JSON lines with a column text or prompt, or the columns train and test")
    group_by: str = option("", help="column that names the group of a prompt; a group is never split")


@dataclass(frozen=True)
class JudgementOptions:
    prompts: str = option(help="JSON lines: prompt_id, text, group")
    responses: str = option(help="JSON lines: response_id, prompt_id, text, author")
    judgements: str = option(help="JSON lines: prompt_id, shown, ranks and/or scores, rater")
    group_by: str = option("", help="field that names the group of a prompt; a group is never split")


@dataclass(frozen=True)
class PreferenceOptions:
    file: str = option(help="CSV, JSON lines, a JSON array or Parquet")
    shape: str = option("", help="what the rows are", choices=("", *SHAPES))
    mapping: str = option(
        "", help="Palate's fields with the file's columns, such as prompt=question, winner=preference"
    )
    ignore: str = option("", help="columns to leave out, with commas between them")
    scale: str = option("", help="ranges of criteria that the study lacks, such as fluency:1:5, clarity:0:100")
    dry_run: bool = option(False, help="say what would be added and what is wrong, and change nothing")
    skip_bad: bool = option(False, help="leave out invalid rows, and count them")
    make_tasks: bool = option(False, help="make tasks of responses that nobody judged")
    prompt_field: str = option("", help="field of the prompt, for Label Studio and Argilla")
    response_fields: str = option("", help="fields of the responses with commas between them, the left one first")


def _check_files(study: Study | None, *files: str) -> None:
    needed(study)
    for file in files:
        if not Path(file).is_file():
            raise wrong(file, _("no such file"))


def _progress_of(run: Run) -> Report:
    """Progress that the run's heartbeat writes: an import is one transaction, and would lock the run's row."""

    def report(step: int, total: int) -> None:
        run.step, run.total_steps = step, total
        if run.cancel_requested:
            raise Cancelled

    return report


def _import_prompts(run: Run, options: PromptOptions, reporter: Reporter) -> Mapping[str, Any]:
    with at_most(settings.IMPORT_MEMORY_MB):
        return import_prompts(
            slug=study_of(run).slug, file=Path(options.file), group_by=options.group_by, report=_progress_of(run)
        )


def _import_judgements(run: Run, options: JudgementOptions, reporter: Reporter) -> Mapping[str, Any]:
    with at_most(settings.IMPORT_MEMORY_MB):
        return import_judgements(
            slug=study_of(run).slug,
            prompts=Path(options.prompts),
            responses=Path(options.responses),
            judgements=Path(options.judgements),
            group_by=options.group_by,
            report=_progress_of(run),
        )


def _import_preferences(run: Run, options: PreferenceOptions, reporter: Reporter) -> Mapping[str, Any]:
    names = tuple(name.strip() for name in options.response_fields.split(",") if name.strip())
    way = ImportOptions(
        shape=options.shape,
        mapping=parse_mapping(options.mapping.split(","), options.ignore.split(",")),
        scales=parse_scales(options.scale),
        fields=Fields(options.prompt_field, names),
        dry_run=options.dry_run,
        skip_bad=options.skip_bad,
        make_tasks=options.make_tasks,
    )
    with at_most(settings.IMPORT_MEMORY_MB):
        counts = import_preferences(slug=study_of(run).slug, path=Path(options.file), way=way, report=_progress_of(run))
    for line in (summary(counts), *details(counts), *counts["errors"]):
        reporter.log(line)
    return {**counts, "ignored_fields": ", ".join(counts["ignored_fields"])}


PREFERENCES_JOB = Job(
    PreferenceOptions,
    lambda study, options: _check_files(study, options.file),
    _import_preferences,
    "Import a file of another tool, or of Palate.",
)
PROMPTS_JOB = Job(
    PromptOptions, lambda study, options: _check_files(study, options.file), _import_prompts, "Import prompts."
)
JUDGEMENTS_JOB = Job(
    JudgementOptions,
    lambda study, options: _check_files(study, options.prompts, options.responses, options.judgements),
    _import_judgements,
    "Import prompts, responses and judgements.",
)
