from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotate.management.arguments import account_named
from annotate.privacy.personal_data import export_personal_data
from core.command import PalateCommand, check_writable


class Command(PalateCommand):
    help = "Write everything that is stored about an account to a JSON file, to hand it to its owner."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username", help="name of the account")
        parser.add_argument("--output", required=True, metavar="FILE", help="the file to write")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        check_writable(options["output"], "--output")
        user = account_named(options["username"], "username")
        assert user is not None  # argparse gives a name
        with Path(options["output"]).open("w", encoding="utf-8") as file:
            file.writelines(export_personal_data(user=user, actor=None))
        return {"username": user.username, "output": options["output"]}
