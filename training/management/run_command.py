"""The base of every command that does a job: flags from the job's options, a Run, a bar, --json."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from django.core.management.base import CommandError

from annotate.management.arguments import study_named
from core.command import PalateCommand
from training.engine.runtime.progress import Cancelled
from training.runs.execution import execute_run
from training.runs.job import JOBS
from training.runs.operations import assist_run, create_run, resumable_run
from training.runs.options import add_arguments, in_english


class RunCommand(PalateCommand):
    kind: str
    study_required = True
    # An option given by place instead of by flag.
    positional = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.job = JOBS[self.kind]
        self.help = in_english(self.job.summary)
        super().__init__(*args, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--study", required=self.study_required, help="short name of the study")
        add_arguments(parser, self.job.options, positional=self.positional)

    def perform(self, **flags: Any) -> Mapping[str, Any]:
        values = {field.name: flags[field.name] for field in fields(self.job.options)}
        study = study_named(flags["study"]) if flags["study"] else None
        if int(os.environ.get("RANK", "0")):
            assist_run(kind=self.kind, study=study, values=values)
            return {}
        request: dict[str, Any] = {"kind": self.kind, "study": study, "values": values}
        run = resumable_run(**request) or create_run(**request)
        try:
            run = execute_run(run=run, terminal=sys.stderr, reraise=True)
        except ValueError as error:
            raise CommandError(str(error)) from error
        except (Cancelled, KeyboardInterrupt):
            raise CommandError("cancelled", returncode=130) from None
        self.stdout.write(json.dumps(run.result, indent=2, ensure_ascii=False))
        return run.result
