"""Ending sessions."""

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction

from annotate.models.accounts import User


@transaction.atomic
def end_sessions(*, user: User, keep: str = "") -> int:
    """Sign the account out everywhere, but for the session with the key `keep`; returns how many sessions ended."""
    ended = list(UserSession.objects.filter(user=user).exclude(session_key=keep))
    for session in ended:
        session.end()
    return len(ended)


def delete_ended_sessions() -> int:
    """Forget the sessions that have expired, or were ended otherwise."""
    return UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()[0]
