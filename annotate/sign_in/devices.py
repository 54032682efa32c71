"""Known devices: a browser that has signed in to an account carries a signed cookie that says so.

Failed attempts from such a browser are counted apart from those of strangers, as OWASP describes it
(https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies). The cookie opens nothing.
"""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.core import signing
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

SALT = "annotate.sign_in.devices"
MAX_AGE = timedelta(days=365)


def cookie_name(user: Any) -> str:
    """One cookie for each account: several people may share a browser."""
    return "known-device-" + salted_hmac(SALT, str(user.pk), algorithm="sha256").hexdigest()[:12]


def known_device(request: HttpRequest, user: Any) -> str:
    """The device's number if the browser has signed in to this account before, else nothing."""
    try:
        pk, number = signing.loads(request.COOKIES.get(cookie_name(user), ""), salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(number) if pk == user.pk else ""


@receiver(user_logged_in)
def remember_device(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    """Have the middleware give the browser the cookie with this answer."""
    request.known_device_of = user  # type: ignore[attr-defined]


def set_cookie(request: HttpRequest, answer: HttpResponse, user: Any) -> None:
    number = known_device(request, user) or secrets.token_urlsafe(12)
    answer.set_cookie(
        cookie_name(user),
        signing.dumps([user.pk, number], salt=SALT),
        max_age=MAX_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
