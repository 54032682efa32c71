"""The base of Palate's commands: a PalateError becomes one message and exit status 1; --json writes the result."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError

from core.errors import PalateError


class PalateCommand(BaseCommand):
    # A command shows no page: checking the addresses would import every one of them, 100 MB and some seconds.
    requires_system_checks = [Tags.models]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", metavar="FILE", help="write the result to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            check_writable(options["json"])
            result = self.perform(**options)
        except PalateError as error:
            raise CommandError(str(error)) from error
        write_json(options["json"], result)

    def perform(self, **options: Any) -> Mapping[str, Any]:
        """The command's work; returns its result, JSON-ready."""
        raise NotImplementedError


def check_writable(file: str | None, flag: str = "--json") -> None:
    """Raises PalateError when a result could not be written, before any work is done."""
    if file and (Path(file).is_dir() or not Path(file).resolve().parent.is_dir()):
        raise PalateError(f"{flag} {file}: not a file in an existing folder")


def write_json(file: str | None, result: Mapping[str, Any]) -> None:
    if file:
        Path(file).write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
