"""Writing the audit log."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from annotate.audit.models import Entry
from annotate.studies.models import Study


def record(
    *, study: Study, user: AbstractBaseUser | AnonymousUser | None, action: str, subject: str, **details: Any
) -> None:
    """Add an entry to the study's log, in the caller's transaction. user: None for a command on the server."""
    known = user if user is not None and user.pk else None
    name = known.get_username() if known else "command"
    Entry.objects.create(
        study=study,
        user_id=known.pk if known else None,
        actor=name,
        action=action,
        subject=subject[:200],
        details=details,
    )
