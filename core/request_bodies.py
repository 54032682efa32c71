"""Limits on what a request may send, checked before anything of it is read: a body that is too long is never stored."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.http import parse_header_parameters
from django.utils.translation import gettext as _

from core.errors import PalateError

MB = 1024 * 1024
Answer = Callable[[HttpRequest], HttpResponse]
View = TypeVar("View", bound=Callable[..., Any])
# Bytes that a signed-in user may send to a view with these arguments from its address; 0 for who may send no file.
# Raises PalateError where there is no room for them.
Allowance = Callable[..., int]


def takes_upload(allowance: Allowance) -> Callable[[View], View]:
    """Mark a view that takes files. allowance: called with the request and the view's arguments."""

    def mark(view: View) -> View:
        view.upload_allowance = allowance  # type: ignore[attr-defined]
        return view

    return mark


class BodyLimits:
    """Middleware: 411 for bodies without a length, 413 for long ones.

    It stands before the CSRF check, which reads the form to find its token. A form within its limit stays in memory.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "Transfer-Encoding" in request.headers:
            return refused(request, 411, _("The request must say how long it is (Content-Length)."))
        if "\0" in request.path_info:
            return refused(request, 400, _("The address holds a NUL character."))
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], arguments: Any, named: dict[str, Any]
    ) -> HttpResponse | None:
        length = _length(request)
        if length is None:
            return refused(request, 400, _("The request must say how long it is (Content-Length)."))
        if length <= settings.BODY_MAX_ANONYMOUS:
            return None
        try:
            limit = _limit(request, view, named)
        except PalateError as error:
            return refused(request, 413, str(error))
        if length <= limit:
            return None
        most = _("%(n)d MB") % {"n": limit // MB} if limit >= MB else _("%(n)d kB") % {"n": limit // 1024}
        return refused(request, 413, _("What was sent is too long; here at most %(most)s are taken.") % {"most": most})


def utf8_only(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The WSGI application behind a check of the request's charset: 415 for any but UTF-8.

    Django decodes a request with whatever codec it names, among them some that make texts nothing can store, and
    some that are none and fail before any middleware.
    """

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        _kind, parameters = parse_header_parameters(environ.get("CONTENT_TYPE", ""))
        if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            start_response("415 Unsupported Media Type", [("Content-Type", "text/plain")])
            return [b"Texts must be UTF-8.\n"]
        return application(environ, start_response)

    return checked


def _length(request: HttpRequest) -> int | None:
    """The length of the body as the request says it; None for what is no number."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else None


def _limit(request: HttpRequest, view: Callable[..., Any], named: dict[str, Any]) -> int:
    """The most bytes that this view takes of this user."""
    if hasattr(view, "cls"):
        # A view of the API, which reads the body once it knows the token.
        return settings.API_MAX_MB * MB
    if not request.user.is_authenticated:
        return settings.BODY_MAX_ANONYMOUS
    allowance = getattr(view, "upload_allowance", None)
    return max(settings.BODY_MAX_FORM, allowance(request, **named) if allowance else 0)


def refused(request: HttpRequest, status: int, words: str) -> HttpResponse:
    """The answer to a request that is not read: JSON for programs and for the rating screen, else a page."""
    if request.path_info.startswith("/api/"):
        return JsonResponse({"detail": words}, status=status)
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"problems": [words]}, status=status)
    return render(request, "refused.html", {"words": words}, status=status)
