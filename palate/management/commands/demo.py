from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from palate import terminal
from training.demo.cases import LANGUAGES
from training.management.demo_studies import make_demo


class Command(BaseCommand):
    help = "Make the demo: accounts, a small policy pretrained on the spot, studies ready to rate."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--language",
            choices=LANGUAGES,
            help="language of the studies (default: zh where the terminal's is Chinese)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        make_demo(options["language"] or terminal.language()[:2])
