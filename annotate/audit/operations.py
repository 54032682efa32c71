"""Writing the audit log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction

from annotate.models.audit import Entry
from annotate.models.studies import Study

# Whoever a request comes from; None for a command on the server.
Actor = AbstractBaseUser | AnonymousUser | None


def record(*, study: Study | None, user: Actor, action: str, subject: str, **details: Any) -> None:
    """Add an entry to the log of the study, or of the account, in the caller's transaction."""
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


@contextmanager
def recorded(
    *, study: Study | None, user: Actor, action: str, subject: str, **details: Any
) -> Iterator[dict[str, Any]]:
    """Do what the block does and add its entry, both or neither. The block may add to the details that it is given."""
    with transaction.atomic():
        yield details
        record(study=study, user=user, action=action, subject=subject, **details)
