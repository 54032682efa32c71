"""Who must have a second step at sign-in: REQUIRE_SECOND_STEP names roles, and `superuser`."""

from collections.abc import Callable
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

REFUSED = "This account must set up a second step at sign-in first."
# Where such an account can go before it has one.
OPEN = {
    *("mfa_activate_totp", "mfa_reauthenticate", "account_reauthenticate", "account_login", "account_logout"),
    *("language", "metrics", "api-schema"),
}


def must_set_up(user: Any) -> bool:
    """Whether the account needs a second step and has none."""
    required = settings.REQUIRE_SECOND_STEP
    if not required or not user.is_authenticated:
        return False
    concerned = user.is_superuser and "superuser" in required
    concerned = concerned or user.memberships.filter(active=True, role__in=required).exists()
    return concerned and not is_mfa_enabled(user)


class SecondStepMiddleware:
    """Send who must set up a second step to the page for it, whatever they ask for; the API answers 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *args: Any) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or match.url_name in OPEN or not must_set_up(request.user):
            return None
        if (match.url_name or "").startswith("api-"):
            return JsonResponse({"detail": REFUSED}, status=403)
        messages.warning(request, _("Your role needs a second step at sign-in. Set it up to go on."))
        return redirect("mfa_activate_totp")
