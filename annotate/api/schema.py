"""What every operation of the API may answer besides its result, added to the OpenAPI schema in one place."""

from typing import Any

ERRORS = {
    "400": "The request does not fit; the body says which field and why.",
    "401": "No token, or one that does not hold.",
    "403": "The token lacks the scope.",
    "404": "There is no such thing, or it is not yours.",
    "411": "The request does not say how long it is.",
    "413": "The body is longer than `API_MAX_MB`.",
    "429": "Too many requests; `Retry-After` says how many seconds to wait.",
}


def with_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: the answers that views do not name themselves."""
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, words in ERRORS.items():
                operation["responses"].setdefault(status, {"description": words})
    return result
