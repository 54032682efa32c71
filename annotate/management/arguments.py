"""Arguments that several commands take: accounts, studies and scales by name, and the study that an import fills."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from annotate.exchange.importers.column_mapping import parse_scale
from annotate.members.operations import check_owner, own
from annotate.models.accounts import User
from annotate.models.studies import Study
from core.command import PalateCommand
from core.errors import PalateError


class ImportCommand(PalateCommand):
    """A command that fills a study, which is made when it is new. --owner opens it to somebody in the browser."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("study", help="short name of the study; a new one is made when there is none")
        parser.add_argument(
            "--owner", default="", metavar="USERNAME", help="account that owns the study, if nobody does yet"
        )

    def perform(self, **options: Any) -> Mapping[str, Any]:
        owner = account_named(options["owner"])
        study = Study.objects.filter(slug=options["study"]).first()
        if owner and study:
            check_owner(study=study, user=owner)
        result = self.fill(**options)
        filled = Study.objects.filter(slug=options["study"]).first()
        if owner and filled:  # a dry run made none
            own(study=filled, user=owner)
        return result

    def fill(self, **options: Any) -> Mapping[str, Any]:
        """The import; returns its result, JSON-ready."""
        raise NotImplementedError


def account_named(username: str, flag: str = "--owner") -> User | None:
    """The account of this name, None for no name; raises PalateError when there is none."""
    user = User.objects.filter(username=username).first()
    if username and user is None:
        raise PalateError(f"{flag} {username}: no such account")
    return user


def scale_argument(text: str) -> tuple[str, tuple[float, float]]:
    """KEY:MIN:MAX as (key, (min, max)), for argparse."""
    try:
        return parse_scale(text)
    except PalateError as error:
        raise ArgumentTypeError(str(error)) from None


def study_named(slug: str) -> Study:
    """The study with this short name; raises PalateError that lists those there are."""
    study = Study.objects.filter(slug=slug).first()
    if study is None:
        known = ", ".join(Study.objects.order_by("slug").values_list("slug", flat=True)[:20]) or "none yet"
        raise PalateError(f"no study {slug!r}; there are: {known}")
    return study
