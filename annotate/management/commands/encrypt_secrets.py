from collections.abc import Mapping
from typing import Any

from annotate.sign_in.encryption import encrypt_secrets
from core.command import PalateCommand


class Command(PalateCommand):
    help = "Encrypt the secrets of second steps and webhooks with the first of FIELD_ENCRYPTION_KEY."

    def perform(self, **options: Any) -> Mapping[str, Any]:
        count = encrypt_secrets()
        self.stdout.write(f"encrypted: {count}")
        return {"encrypted": count}
