from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from annotate.audit.operations import recorded
from annotate.management.arguments import account_named
from annotate.models.audit import Action
from annotate.sign_in.counters import clear
from core.command import PalateCommand


class Command(PalateCommand):
    help = "Forget the failed sign-ins of an account, so that its owner need not wait (docs/guides/secure.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username", help="name of the account")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        user = account_named(options["username"], "username")
        assert user is not None  # argparse gives a name
        name = user.get_username()
        with recorded(study=None, user=None, action=Action.REMOVED, subject="failed sign-ins", of=name):
            cleared = clear(user=user)
        self.stdout.write(f"counters cleared: {cleared}")
        return {"username": name, "cleared": cleared}
