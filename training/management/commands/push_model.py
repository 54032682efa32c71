from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from annotate.management.arguments import study_named
from core.command import PalateCommand
from training.registry.hub_upload import push, version_named


class Command(PalateCommand):
    help = (
        "Push a model's folder to a repository of a model hub, with its card, without the files that quote the study. "
        "The token is taken from HF_TOKEN, another hub than huggingface.co from HF_ENDPOINT."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("model", metavar="MODEL", help="number or name of the model version")
        parser.add_argument("repo", metavar="REPO", help="a repository, such as owner/name; made when it is new")
        parser.add_argument("--study", help="short name of the study, where several have a model of this name")
        parser.add_argument("--private", action="store_true", help="make a new repository private")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        study = study_named(options["study"]) if options["study"] else None
        version = version_named(options["model"], study)
        address = push(version=version, repo=options["repo"], private=options["private"])
        self.stdout.write(f"{version} is at {address}")
        return {"model": version.pk, "repo": options["repo"], "address": address}
