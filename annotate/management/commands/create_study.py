from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model

from annotate.errors import PalateError
from annotate.management.palate_command import PalateCommand, scale_argument
from annotate.studies.models import Method
from annotate.studies.operations import create_study


class Command(PalateCommand):
    help = "Make a study. Pages do the same; this is for scripts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("study", help="short name, used in addresses and commands")
        parser.add_argument("--name", default="", help="name on the pages (default: the short name)")
        parser.add_argument("--method", choices=Method.values, default=Method.COMPARE, help="how new tasks are judged")
        parser.add_argument("--replication", type=int, default=3, help="raters a task (default: 3)")
        for split in ("validation", "test"):
            parser.add_argument(
                f"--{split}-share",
                type=float,
                default=0.15,
                help=f"share of prompts in the {split} split (default: 0.15)",
            )
        parser.add_argument("--instructions", default="", help="what the raters read first")
        parser.add_argument("--owner", default="", metavar="USERNAME", help="account that owns the study")
        parser.add_argument(
            "--criterion",
            type=scale_argument,
            action="append",
            default=[],
            metavar="KEY:MIN:MAX",
            help="a scale to score on; may be given several times",
        )

    def perform(self, **options: Any) -> Mapping[str, Any]:
        owner = get_user_model().objects.filter(username=options["owner"]).first()
        if options["owner"] and owner is None:
            raise PalateError(f"--owner {options['owner']}: no such account")
        study = create_study(
            slug=options["study"],
            name=options["name"] or options["study"],
            method=options["method"],
            owner=owner,
            replication=options["replication"],
            instructions=options["instructions"],
            validation_share=options["validation_share"],
            test_share=options["test_share"],
            criteria=[{"key": k, "minimum": low, "maximum": high} for k, (low, high) in options["criterion"]],
        )
        self.stdout.write(f"study {study.slug} is there")
        return {"study": study.slug}
