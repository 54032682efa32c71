from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.command import PalateCommand
from palate.backups import restore


class Command(PalateCommand):
    help = "Fill an empty database from a backup and compare every table with its fingerprint (docs/guides/back-up.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("folder", type=Path, help="a folder that `backup` made")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        found = restore(options["folder"].resolve())
        rows = sum(count for count, _ in found.values())
        self.stdout.write(f"{len(found)} tables, {rows} rows, all as they were")
        return {"tables": len(found), "rows": rows}
