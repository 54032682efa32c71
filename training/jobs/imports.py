"""Imports as runs, for the pages: the files were uploaded under var/uploads. The commands import directly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.errors import PalateError
from annotate.exchange.import_judgements import import_judgements
from annotate.exchange.import_prompts import import_prompts
from annotate.studies.models import Study
from training.engine.progress import Reporter
from training.jobs.job import Job, needed, study_of
from training.jobs.options import option
from training.models import Run


@dataclass(frozen=True)
class PromptOptions:
    file: str = option(help="CSV or JSON lines with a text column, or the columns train and test")
    group_by: str = option("", help="column that names the group of a prompt; a group is never split")


@dataclass(frozen=True)
class JudgementOptions:
    prompts: str = option(help="JSON lines: prompt_id, text, group")
    responses: str = option(help="JSON lines: response_id, prompt_id, text, author")
    judgements: str = option(help="JSON lines: prompt_id, shown, ranks and/or scores, rater")
    group_by: str = option("", help="field that names the group of a prompt; a group is never split")


def _check_files(study: Study | None, *files: str) -> None:
    needed(study)
    for file in files:
        if not Path(file).is_file():
            raise PalateError(f"{file}: no such file")


def _import_prompts(run: Run, options: PromptOptions, reporter: Reporter) -> Mapping[str, Any]:
    return import_prompts(
        slug=study_of(run).slug, file=Path(options.file), group_by=options.group_by, report=reporter.progress
    )


def _import_judgements(run: Run, options: JudgementOptions, reporter: Reporter) -> Mapping[str, Any]:
    return import_judgements(
        slug=study_of(run).slug,
        prompts=Path(options.prompts),
        responses=Path(options.responses),
        judgements=Path(options.judgements),
        group_by=options.group_by,
        report=reporter.progress,
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
