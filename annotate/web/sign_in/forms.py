"""allauth's forms that check a secret, with failures counted."""

from collections.abc import Callable
from typing import Any

from allauth.account.forms import ChangePasswordForm
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import TOTP
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from annotate.sign_in.counters import Attempt, MustWait, count_password, count_second_step, take_back
from core.encryption import encrypt


def counted(request: HttpRequest, count: Callable[..., Attempt], who: Any) -> Attempt:
    """Count an attempt; when it comes too early, mark the request for the middleware and raise ValidationError."""
    try:
        return count(request, who)
    except MustWait as error:
        request.must_wait = error.seconds  # type: ignore[attr-defined]
        raise ValidationError(str(error)) from None


class CountedCode:
    """A form with a code of the second step: TOTP or a recovery code."""

    user: Any

    def clean_code(self) -> str:
        attempt = counted(context.request, count_second_step, self.user)
        code: str = super().clean_code()  # type: ignore[misc]
        take_back(attempt)
        return code


class CountedAuthenticateForm(CountedCode, AuthenticateForm):
    pass


class CountedReauthenticateForm(CountedCode, ReauthenticateForm):
    pass


class ActivateForm(ActivateTOTPForm):
    """Set up a second step; the code that shows that it works opens nothing more."""

    def clean_code(self) -> str:
        code: str = super().clean_code()
        unsaved = Authenticator(user=self.user, type=Authenticator.Type.TOTP, data={"secret": encrypt(self.secret)})
        if not TOTP(unsaved).validate_code(code):  # which remembers it
            raise get_adapter().validation_error("incorrect_code")
        return code


class CountedChangePasswordForm(ChangePasswordForm):
    def clean_oldpassword(self) -> str:
        attempt = counted(context.request, count_password, self.user.get_username())
        password: str = super().clean_oldpassword()
        take_back(attempt)
        return password
