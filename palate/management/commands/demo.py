import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from training.demo.cases import LANGUAGES
from training.demo_study import make_demo


class Command(BaseCommand):
    help = "Make the demo: accounts, a small policy pretrained on the spot, studies ready to rate."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--language",
            choices=LANGUAGES,
            help="language of the studies (default: zh where the terminal's is Chinese)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        make_demo(options["language"] or _language_of_the_terminal())


def _language_of_the_terminal() -> str:
    named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh" if next(filter(None, named), "").startswith("zh") else "en"
