from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils.text import slugify

from annotate.exchange.formats.ratings import CRITERION, scale_of
from annotate.exchange.importers.notes import details
from annotate.exchange.importers.preferences import ImportOptions, import_preferences, summary
from core.errors import PalateError
from training.management.run_command import RunCommand
from training.models import RunKind


class Command(RunCommand):
    kind = RunKind.TRAIN_PREFERENCE
    study_required = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--ratings",
            type=Path,
            help="a file of the columns text and rating to learn from; it becomes a study, named as the file unless "
            "--study says otherwise",
        )

    def perform(self, **flags: Any) -> Mapping[str, Any]:
        ratings = flags.pop("ratings")
        if ratings is None and not flags["study"]:
            raise PalateError("--study is needed: the short name of a study; or --ratings, a file")
        if ratings is not None:
            flags["study"] = flags["study"] or slugify(ratings.stem) or CRITERION
            way = ImportOptions(shape="ratings", scales={CRITERION: scale_of(ratings)})
            counts = import_preferences(slug=flags["study"], path=ratings, way=way)
            for line in (summary(counts), *details(counts)):
                self.stdout.write(line)
        return super().perform(**flags)
