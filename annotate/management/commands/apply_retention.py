from collections.abc import Mapping
from typing import Any

from annotate.privacy.retention import apply_retention
from core.command import PalateCommand


class Command(PalateCommand):
    help = "Delete what is older than it may be kept (docs/guides/secure.md). The scheduler does it daily."

    def perform(self, **options: Any) -> Mapping[str, Any]:
        counts = apply_retention()
        self.stdout.write(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items()))
        return counts
