from typing import Any

from django.core.management.base import BaseCommand

from training.demo_study import make_demo


class Command(BaseCommand):
    help = "Make the demo: accounts, a small policy pretrained on the spot, three studies ready to rate."

    def handle(self, *args: Any, **options: Any) -> None:
        make_demo()
