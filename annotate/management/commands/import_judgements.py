import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from annotate.exchange.importers.judgements import import_judgements
from annotate.management.arguments import ImportCommand, scale_argument


class Command(ImportCommand):
    help = (
        "Import prompts, responses and judgements from JSON lines (plain or .gz). All or nothing; importing again "
        "adds nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--prompts", type=Path, required=True, metavar="FILE", help="prompt_id, text, group")
        parser.add_argument(
            "--responses", type=Path, required=True, metavar="FILE", help="response_id, prompt_id, text, author"
        )
        parser.add_argument(
            "--judgements",
            type=Path,
            required=True,
            metavar="FILE",
            help="prompt_id, shown, ranks and/or scores, rater; where known at, seconds, comment, strength",
        )
        parser.add_argument("--group-by", default="", metavar="FIELD", help="field whose value keeps prompts together")
        parser.add_argument(
            "--scale",
            type=scale_argument,
            action="append",
            default=[],
            metavar="KEY:MIN:MAX",
            help="range of a criterion that the study lacks (default: 0 to 100)",
        )

    def fill(self, **options: Any) -> Mapping[str, Any]:
        with tqdm(desc="judgements", disable=None, file=sys.stderr) as bar:

            def report(step: int, total: int) -> None:
                bar.total = total
                bar.update(step - bar.n)

            counts = import_judgements(
                slug=options["study"],
                prompts=options["prompts"],
                responses=options["responses"],
                judgements=options["judgements"],
                group_by=options["group_by"],
                scales=dict(options["scale"]),
                report=report,
            )
        made = " (new study)" if counts["study_created"] else ""
        self.stdout.write(
            f"{options['study']}{made}: {counts['prompts']} prompts, {counts['responses']} responses, "
            f"{counts['judgements']} judgements of {counts['raters']} raters added, "
            f"{counts['judgements_already_there']} judgements already there"
        )
        return counts
