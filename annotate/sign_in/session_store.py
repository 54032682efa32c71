"""Django's sessions in the database, except that a database that dies is an error of the server.

Django's own store takes every failure of an update for a session that somebody has deleted meanwhile, and answers 400:
who sends an answer would not send it again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError


class SessionStore(db.SessionStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def save(self, must_create: bool = False) -> None:
        """Store the session. Raises OperationalError or InterfaceError when the database does not answer."""
        with _outages_shown():
            super().save(must_create=must_create)


@contextmanager
def _outages_shown() -> Iterator[None]:
    try:
        yield
    except UpdateError as error:
        if isinstance(error.__context__, OperationalError | InterfaceError):
            raise error.__context__ from None
        raise
