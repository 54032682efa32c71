"""Imports as runs, for the pages: the files were uploaded under var/uploads. The commands import directly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

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
    file: str = option(
        label=gettext_lazy("File"),
        help=gettext_lazy("CSV or JSON lines with a column text or prompt, or the columns train and test"),
    )
    group_by: str = option(
        "",
        label=gettext_lazy("Group column"),
        help=gettext_lazy("column that names the group of a prompt; a group is never split"),
    )


@dataclass(frozen=True)
class JudgementOptions:
    prompts: str = option(
        label=gettext_lazy("Prompts"),
        help=gettext_lazy("JSON lines: prompt_id, text, group"),
    )
    responses: str = option(
        label=gettext_lazy("Responses"),
        help=gettext_lazy("JSON lines: response_id, prompt_id, text, author"),
    )
    judgements: str = option(
        label=gettext_lazy("Judgements"),
        help=gettext_lazy("JSON lines: prompt_id, shown, ranks and/or scores, rater"),
    )
    group_by: str = option(
        "",
        label=gettext_lazy("Group column"),
        help=gettext_lazy("field that names the group of a prompt; a group is never split"),
    )


@dataclass(frozen=True)
class PreferenceOptions:
    file: str = option(
        label=gettext_lazy("File"),
        help=gettext_lazy("CSV, JSON lines, a JSON array or Parquet"),
    )
    shape: str = option(
        "",
        label=gettext_lazy("Row format"),
        help=gettext_lazy("format of the rows"),
        choices=("", *SHAPES),
    )
    mapping: str = option(
        "",
        label=gettext_lazy("Column mapping"),
        help=gettext_lazy("Palate's fields with the file's columns, such as prompt=question, winner=preference"),
    )
    ignore: str = option(
        "",
        label=gettext_lazy("Ignored columns"),
        help=gettext_lazy("columns to ignore, separated by commas"),
    )
    scale: str = option(
        "",
        label=gettext_lazy("Score ranges"),
        help=gettext_lazy("ranges of criteria that the study lacks, such as fluency:1:5, clarity:0:100"),
    )
    dry_run: bool = option(
        False,
        label=gettext_lazy("Dry run"),
        help=gettext_lazy("report what would be added and what is wrong, and change nothing"),
    )
    skip_bad: bool = option(
        False,
        label=gettext_lazy("Skip invalid rows"),
        help=gettext_lazy("skip invalid rows and count them"),
    )
    make_tasks: bool = option(
        False,
        label=gettext_lazy("Create tasks"),
        help=gettext_lazy("create tasks from responses without judgements"),
    )
    prompt_field: str = option(
        "",
        label=gettext_lazy("Prompt field"),
        help=gettext_lazy("field of the prompt, for Label Studio and Argilla"),
    )
    response_fields: str = option(
        "",
        label=gettext_lazy("Response fields"),
        help=gettext_lazy("fields of the responses separated by commas, the left one first"),
    )


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
    gettext_lazy("Import a file of another tool, or of Palate."),
)
PROMPTS_JOB = Job(
    PromptOptions,
    lambda study, options: _check_files(study, options.file),
    _import_prompts,
    gettext_lazy("Import prompts."),
)
JUDGEMENTS_JOB = Job(
    JudgementOptions,
    lambda study, options: _check_files(study, options.prompts, options.responses, options.judgements),
    _import_judgements,
    gettext_lazy("Import prompts, responses and judgements."),
)
