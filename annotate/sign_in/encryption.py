"""Encrypt the secrets of authenticator apps and recovery codes; change the key of all stored secrets."""

from collections.abc import Sequence
from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.db import transaction

from annotate.audit.operations import record
from annotate.models.audit import Action
from annotate.models.webhooks import Webhook
from core.encryption import PREFIX, decrypt, encrypt


class MFAAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt(encrypted_text)


@transaction.atomic
def encrypt_secrets() -> int:
    """Encrypt every stored secret with the first key; returns how many authenticators and webhooks have one. Raises
    PalateError, and changes nothing, when none of the keys opens one of them."""
    return _encrypt(
        list(Authenticator.objects.select_for_update().order_by("pk")),
        list(Webhook.objects.select_for_update().order_by("pk")),
    )


@transaction.atomic
def encrypt_plain_secrets() -> int:
    """Encrypt what the version before stored as plain text: not in a migration, while that version still reads it."""
    plain = [row for row in Authenticator.objects.select_for_update().order_by("pk") if _has_plain_text(row.data)]
    return _encrypt(plain, list(Webhook.objects.select_for_update().exclude(secret__startswith=PREFIX).order_by("pk")))


def _has_plain_text(data: dict[str, Any]) -> bool:
    secrets = [data[name] for name in ("secret", "seed") if name in data] + list(data.get("migrated_codes", ()))
    return any(not secret.startswith(PREFIX) for secret in secrets)


def _encrypt(authenticators: Sequence[Authenticator], hooks: Sequence[Webhook]) -> int:
    for row in authenticators:
        row.data = encrypted(row.data)
        row.save(update_fields=["data"])
    for hook in hooks:
        hook.secret = encrypt(hook.signing_key)
        hook.save(update_fields=["secret"])
    count = len(authenticators) + len(hooks)
    if count:
        record(study=None, user=None, action=Action.CHANGED, subject="encryption of secrets", secrets=count)
    return count


def encrypted(data: dict[str, Any]) -> dict[str, Any]:
    """An authenticator's data with its secrets encrypted by the first key."""
    secrets: dict[str, Any] = {name: encrypt(decrypt(data[name])) for name in ("secret", "seed") if name in data}
    if "migrated_codes" in data:
        secrets["migrated_codes"] = [encrypt(decrypt(code)) for code in data["migrated_codes"]]
    return {**data, **secrets}
