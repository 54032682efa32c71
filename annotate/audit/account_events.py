"""What Django and allauth do to an account, as entries of the log. Connected when the app is ready."""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as second_step
from allauth.socialaccount import signals as social
from django.contrib.auth import signals as auth

from annotate.audit.operations import record
from annotate.models.accounts import User
from annotate.models.audit import Action


def connect() -> None:
    auth.user_logged_in.connect(_signed_in, dispatch_uid="audit")
    auth.user_logged_out.connect(_signed_out, dispatch_uid="audit")
    for signal, action, subject in (
        (account.password_changed, Action.CHANGED, "password"),
        (account.password_set, Action.CHANGED, "password"),
        (second_step.authenticator_added, Action.ADDED, "second step"),
        (second_step.authenticator_removed, Action.REMOVED, "second step"),
        (second_step.authenticator_reset, Action.CHANGED, "recovery codes"),
        (social.social_account_added, Action.ADDED, "connection"),
    ):
        signal.connect(_receiver(action, subject), weak=False, dispatch_uid=f"audit {action} {subject}")
    social.social_account_removed.connect(_connection_removed, dispatch_uid="audit")


def _signed_in(sender: Any, user: User, **_: Any) -> None:
    record(study=None, user=user, action=Action.SIGNED_IN, subject="account")


def _signed_out(sender: Any, user: User | None, **_: Any) -> None:
    # A session that had ended signs nobody out.
    if user is not None:
        record(study=None, user=user, action=Action.SIGNED_OUT, subject="account")


def _receiver(action: Action, subject: str) -> Any:
    def receive(sender: Any, request: Any, user: User | None = None, **_: Any) -> None:
        record(study=None, user=user or request.user, action=action, subject=subject)

    return receive


def _connection_removed(sender: Any, request: Any, socialaccount: Any, **_: Any) -> None:
    record(study=None, user=socialaccount.user, action=Action.REMOVED, subject="connection")
