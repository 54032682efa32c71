"""What sign-in adds to requests and answers."""

import time
from collections.abc import Callable

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

from annotate.sign_in.devices import set_cookie

Answer = Callable[[HttpRequest], HttpResponse]
SEEN_EVERY = 60  # seconds
# What pages send when they renew themselves: nobody need sit before them.
REFRESH = "X-Refresh"


def attempts(get_response: Answer) -> Answer:
    """Middleware: an attempt that came too early is answered with 429 and Retry-After, on the page that it was made on;
    a browser that has just signed in becomes a known device."""

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = get_response(request)
        if seconds := getattr(request, "must_wait", 0):
            answer.status_code = 429
            answer["Retry-After"] = str(seconds)
        if user := getattr(request, "known_device_of", None):
            set_cookie(request, answer, user)
        return answer

    return middleware


def sessions(get_response: Answer) -> Answer:
    """Middleware: a session that was idle for SESSION_IDLE_MINUTES ends; others are listed with when they were seen."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now, seen = int(time.time()), request.session.get("seen_at", 0)
            if seen and 0 < settings.SESSION_IDLE_MINUTES * 60 < now - seen:
                logout(request)
            elif now - seen >= SEEN_EVERY and not (seen and REFRESH in request.headers):
                request.session["seen_at"] = now
                UserSession.objects.create_from_request(request)
        return get_response(request)

    return middleware
