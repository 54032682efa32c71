import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from annotate.exchange.formats.fields import Fields
from annotate.exchange.formats.registry import SHAPES
from annotate.exchange.importers.column_mapping import parse_mapping
from annotate.exchange.importers.notes import details
from annotate.exchange.importers.preferences import ImportOptions, import_preferences, summary
from annotate.management.arguments import ImportCommand, scale_argument


class Command(ImportCommand):
    help = (
        "Import prompts, responses or judgements of other tools from CSV, JSON lines, Parquet or a datasets folder "
        "(docs/reference/file-formats.md). Importing again adds nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="a file (text files plain or .gz), or a datasets folder")
        parser.add_argument(
            "--shape",
            choices=list(SHAPES),
            default="",
            help="default: seen from the first row. " + "; ".join(f"{name}: {label}" for name, label in SHAPES.items()),
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FIELD=COLUMN",
            help="read a column as one of Palate's fields: prompt=question, winner=preference, score:fluency=fluency "
            "(docs/reference/file-formats.md lists them); repeat the flag for each",
        )
        parser.add_argument(
            "--ignore", default="", metavar="A,B", help="columns to leave out, also where they hold judgements"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be added and what is wrong")
        parser.add_argument("--skip-bad", action="store_true", help="leave out invalid rows, and count them")
        parser.add_argument(
            "--resumable",
            action="store_true",
            help="keep what is done as it goes, so that the same command goes on after a kill; default: all or nothing",
        )
        parser.add_argument("--make-tasks", action="store_true", help="make tasks of responses that nobody judged")
        parser.add_argument(
            "--prompt-field", default="", metavar="NAME", help="label-studio, argilla: default: guessed"
        )
        parser.add_argument(
            "--response-fields",
            default="",
            metavar="A,B",
            help="label-studio, argilla: left one first; default: guessed",
        )
        parser.add_argument(
            "--scale",
            type=scale_argument,
            action="append",
            default=[],
            metavar="KEY:MIN:MAX",
            help="range of a criterion that study and file lack, such as fluency:1:5",
        )

    def fill(self, **options: Any) -> Mapping[str, Any]:
        names = tuple(name.strip() for name in options["response_fields"].split(",") if name.strip())
        way = ImportOptions(
            shape=options["shape"],
            mapping=parse_mapping(options["map"], options["ignore"].split(",")),
            fields=Fields(options["prompt_field"], names),
            scales=dict(options["scale"]),
            **{name: options[name] for name in ("dry_run", "skip_bad", "resumable", "make_tasks")},
        )
        with tqdm(desc="rows", disable=None, file=sys.stderr) as bar:

            def report(step: int, total: int) -> None:
                bar.total = total
                bar.update(step - bar.n)

            counts = import_preferences(slug=options["study"], path=options["file"], way=way, report=report)
        self.stdout.write(summary(counts))
        for line in details(counts):
            self.stdout.write(f"  {line}")
        for error in counts["errors"]:
            self.stderr.write(f"  {error}")
        return counts
