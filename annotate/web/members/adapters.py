"""How Palate uses allauth: accounts come from invitations and managers, never from an open form."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from annotate.sign_in.counters import count_password, take_back
from annotate.web.sign_in.forms import counted


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Check a password, at sign-in and when it is asked for again; failures make the next attempt wait."""
        attempt = counted(request, count_password, credentials.get("username") or "")
        if user := super().authenticate(request, **credentials):
            take_back(attempt)
        return user


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Where OIDC_NEW_ACCOUNTS is set, whoever the organisation's provider knows gets an account at first sign-in.

        Such an account sees nothing until somebody adds or invites it; otherwise it must exist and be connected.
        """
        return bool(settings.OIDC_NEW_ACCOUNTS)
