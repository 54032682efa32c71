"""The secret key of an installation that was given none: made once, kept under var/, readable by its owner only."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

MIN_LENGTH = 32


def stored_secret_key(path: Path) -> str:
    """Return the key in `path`, and make one if there is no such file. Raises ImproperlyConfigured for a bad one."""
    if not path.exists():
        _make(path)
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{path}: cannot be read ({error}); {REMEDY}") from error
    if len(key) < MIN_LENGTH or len(set(key)) < 10:
        raise ImproperlyConfigured(f"{path}: expected at least {MIN_LENGTH} random characters; {REMEDY}")
    return key


REMEDY = "delete it to get a new key (everybody has to sign in again), or set SECRET_KEY"


def _make(path: Path) -> None:
    """Write a key aside and link it into place, so that two processes starting at once agree on one key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.touch(mode=0o600)
    aside.write_text(secrets.token_urlsafe(50))
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
