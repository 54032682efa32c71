from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.command import PalateCommand
from palate.backups import backup


class Command(PalateCommand):
    help = "Back up the database into a new folder, with a fingerprint of every table (docs/guides/back-up.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("folder", type=Path, help="folder to make; models under var/models are files of their own")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        found = backup(options["folder"].resolve())
        rows = sum(count for count, _ in found.values())
        self.stdout.write(f"{options['folder']}: {len(found)} tables, {rows} rows")
        return {"tables": len(found), "rows": rows}
