"""Encrypt the secrets of authenticator apps and recovery codes; change the key of all stored secrets."""

from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.db import transaction

from annotate.audit.models import Action
from annotate.audit.operations import record
from annotate.encryption import decrypt, encrypt
from annotate.webhooks.models import Webhook


class MFAAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt(encrypted_text)


@transaction.atomic
def encrypt_secrets() -> int:
    """Encrypt every stored secret with the first key; returns how many authenticators and webhooks have one. Raises
    PalateError, and changes nothing, when none of the keys opens one of them."""
    authenticators = list(Authenticator.objects.select_for_update().order_by("pk"))
    for row in authenticators:
        row.data = encrypted(row.data)
        row.save(update_fields=["data"])
    hooks = list(Webhook.objects.select_for_update().order_by("pk"))
    for hook in hooks:
        hook.secret = encrypt(hook.signing_key)
        hook.save(update_fields=["secret"])
    count = len(authenticators) + len(hooks)
    record(study=None, user=None, action=Action.CHANGED, subject="encryption of secrets", secrets=count)
    return count


def encrypted(data: dict[str, Any]) -> dict[str, Any]:
    """An authenticator's data with its secrets encrypted by the first key."""
    secrets: dict[str, Any] = {name: encrypt(decrypt(data[name])) for name in ("secret", "seed") if name in data}
    if "migrated_codes" in data:
        secrets["migrated_codes"] = [encrypt(decrypt(code)) for code in data["migrated_codes"]]
    return {**data, **secrets}
