"""What sign-in adds to answers."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from annotate.sign_in.devices import set_cookie

Answer = Callable[[HttpRequest], HttpResponse]


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
