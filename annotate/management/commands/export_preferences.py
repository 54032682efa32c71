import os
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from annotate.exchange.exports import PAIR_COLUMNS, RAW_COLUMNS, Row, lines, pair_rows, raw_rows
from annotate.management.palate_command import PalateCommand, check_writable, study_named


class Command(PalateCommand):
    help = "Export a study's judgements as CSV, safe to open in a spreadsheet (docs/exchange.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--study", required=True, help="short name of the study")
        parser.add_argument(
            "--format",
            choices=["pairs", "raw"],
            required=True,
            help="pairs: one row a compared pair, chosen and rejected; raw: one row a judgement and response",
        )
        parser.add_argument("--output", required=True, metavar="FILE", help="file to write; - for standard output")
        parser.add_argument(
            "--split",
            choices=["all", "train", "validation", "test"],
            default="all",
            help="which prompts (default: all)",
        )
        parser.add_argument("--keep-ties", action="store_true", help="keep pairs with as many votes for as against")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        study = study_named(options["study"])
        columns, rows = RAW_COLUMNS, raw_rows(study, options["split"])
        if options["format"] == "pairs":
            columns, rows = PAIR_COLUMNS, pair_rows(study, options["split"], keep_ties=options["keep_ties"])
        counted = _Counted(rows)
        if options["output"] == "-":
            sys.stdout.writelines(lines(columns, counted))
        else:
            check_writable(options["output"], flag="--output")
            with _whole(Path(options["output"])) as file:
                file.writelines(lines(columns, counted))
        self.stderr.write(f"{counted.count} rows")
        return {"study": study.slug, "format": options["format"], "rows": counted.count}


class _Counted:
    def __init__(self, rows: Iterator[Row]) -> None:
        self.rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Row]:
        for row in self.rows:
            self.count += 1
            yield row


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file that takes the place of `path` only when all of it has been written."""
    handle, aside = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
