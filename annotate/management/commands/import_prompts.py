from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotate.exchange.importers.prompts import import_prompts
from annotate.management.arguments import ImportCommand


class Command(ImportCommand):
    help = "Import prompts from CSV or JSON lines (plain or .gz). All or nothing; importing again adds nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "file",
            type=Path,
            help="columns text (or prompt) and optionally prompt_id, group, split, reference, context, audience; or "
            "the columns train and test, whose cells are the texts",
        )
        parser.add_argument(
            "--group-by", default="", metavar="COLUMN", help="column whose value keeps prompts together"
        )

    def fill(self, **options: Any) -> Mapping[str, Any]:
        counts = import_prompts(slug=options["study"], file=options["file"], group_by=options["group_by"])
        made = " (new study)" if counts["study_created"] else ""
        self.stdout.write(
            f"{options['study']}{made}: {counts['prompts']} prompts added, "
            f"{counts['prompts_already_there']} already there"
        )
        return counts
