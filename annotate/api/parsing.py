"""JSON bodies whose every value can be stored and sent back; what cannot is refused before anything reads it."""

import math
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 100


class StrictJSONParser(JSONParser):
    """JSON without numbers beyond 64 bits, halves of surrogate pairs and values nested too deeply."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            value = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError(f"JSON: nested more than {MAX_DEPTH} levels deep") from None
        check_value(value)
        return value


def check_value(value: Any) -> None:
    """Raise ParseError where a value of JSON cannot be stored."""
    waiting = [(value, 1)]
    while waiting:
        inner, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ParseError(f"JSON: nested more than {MAX_DEPTH} levels deep")
        if isinstance(inner, dict):
            waiting += [(part, depth + 1) for pair in inner.items() for part in pair]
        elif isinstance(inner, list):
            waiting += [(part, depth + 1) for part in inner]
        else:
            _check_plain(inner)


def _check_plain(value: Any) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ParseError("JSON: a text holds half a surrogate pair, which is not valid Unicode") from None
    elif isinstance(value, float) and not math.isfinite(value):
        raise ParseError("JSON: a number is too large")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ParseError("JSON: a whole number has more than 64 bits")
