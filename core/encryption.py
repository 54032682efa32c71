"""Encrypt secrets that the database keeps.

The keys are FIELD_ENCRYPTION_KEY (several with commas between them: the first encrypts, all decrypt) and after them
SECRET_KEY, which encrypts where no other is set.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from core.errors import PalateError

# What stands before it, so that secrets stored before there was encryption are told apart.
PREFIX = "fernet:"


def encrypt(text: str) -> str:
    return PREFIX + _fernet().encrypt(text.encode()).decode()


def decrypt(text: str) -> str:
    """The plain secret. Raises PalateError when none of the keys opens it."""
    if not text.startswith(PREFIX):
        return text
    try:
        return _fernet().decrypt(text.removeprefix(PREFIX)).decode()
    except InvalidToken:
        words = "a stored secret was encrypted with another key: add it to FIELD_ENCRYPTION_KEY"
        raise PalateError(words) from None


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(_derived(key)) for key in (*settings.FIELD_ENCRYPTION_KEYS, settings.SECRET_KEY)])


def _derived(key: str) -> bytes:
    """A key of the size that Fernet takes, from a text of any size."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"annotate.sign_in.encryption")
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
