"""The base of every command that does a job: flags from the job's options, a Run, a bar, --json."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotate.errors import PalateError
from annotate.studies.models import Study
from training.engine.progress import Cancelled
from training.jobs.options import add_arguments
from training.jobs.registry import JOBS
from training.models import Run
from training.operations import create_run, execute_run


class RunCommand(BaseCommand):
    kind: str
    study_required = True
    # An option given by place instead of by flag.
    positional = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.job = JOBS[self.kind]
        self.help = self.job.summary
        super().__init__(*args, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--study", required=self.study_required, help="short name of the study")
        parser.add_argument("--json", metavar="FILE", help="write the result and its metrics to this file")
        add_arguments(parser, self.job.options, positional=self.positional)

    def handle(self, *args: Any, **flags: Any) -> None:
        values = {field.name: flags[field.name] for field in fields(self.job.options)}
        try:
            check_writable(flags["json"])
            run = create_run(kind=self.kind, study=study_named(flags["study"]), values=values)
            run = execute_run(run=run, terminal=sys.stderr, reraise=True)
        except (PalateError, ValueError) as error:
            raise CommandError(str(error)) from error
        except (Cancelled, KeyboardInterrupt):
            raise CommandError("cancelled", returncode=130) from None
        write_json(flags["json"], run.result)
        self.stdout.write(self.told(run))

    def told(self, run: Run) -> str:
        """What the command prints at the end."""
        return json.dumps(run.result, indent=2, ensure_ascii=False)


def study_named(slug: str | None) -> Study | None:
    """The study with this short name; raises PalateError that lists those there are."""
    if not slug:
        return None
    study = Study.objects.filter(slug=slug).first()
    if study is None:
        known = ", ".join(Study.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
        raise PalateError(f"no study {slug!r}; there are: {known}")
    return study


def check_writable(file: str | None) -> None:
    """Raises PalateError when a result could not be written, before any work is done."""
    if file and (Path(file).is_dir() or not Path(file).resolve().parent.is_dir()):
        raise PalateError(f"--json {file}: not a file in an existing folder")


def write_json(file: str | None, result: Any) -> None:
    if file:
        Path(file).write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
