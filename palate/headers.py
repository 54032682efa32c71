"""Headers of every answer that neither Django nor django-csp sets, and what every page may need to know."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

OFF = ("camera", "microphone", "geolocation", "payment", "usb", "display-capture", "browsing-topics")
PERMISSIONS = ", ".join(f"{name}=()" for name in OFF)
Answer = Callable[[HttpRequest], HttpResponse]


def headers(get_response: Answer) -> Answer:
    """Middleware: no device of the visitor's is asked for, no other site reads an answer, and neither a browser nor a
    proxy keeps one: pages, exports and the API's answers hold what is private, and secrets that are shown once."""

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = get_response(request)
        answer.setdefault("Permissions-Policy", PERMISSIONS)
        answer.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        answer.setdefault("Cache-Control", "no-store")
        return answer

    return middleware


def oidc_name(request: HttpRequest) -> dict[str, str]:
    """The name of the organisation's sign-in, where there is one."""
    return {"oidc_name": settings.OIDC_NAME if settings.OIDC_SERVER_URL else ""}
