"""Which fields of a foreign task hold the prompt and the responses: named by the user, or guessed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row

TIES = {"tie", "equal", "both", "same", "neither", "none", "draw"}
PROMPTS = ("prompt", "instruction", "question", "query", "input", "context", "text")
RESPONSES = re.compile(r"response|answer|completion|output|reply|generation|candidate|text|option|choice", re.I)


@dataclass(frozen=True)
class Fields:
    """prompt: a field's name, or "" to guess. responses: names in the order shown, or none to guess."""

    prompt: str = ""
    responses: Sequence[str] = ()

    def prompt_of(self, row: Row, data: Mapping[str, Any]) -> str:
        name = self.prompt or next((name for name in PROMPTS if isinstance(data.get(name), str)), "")
        if not name:
            message = _("no field of %(fields)s is known to hold it; name it with --prompt-field")
            row.fail("prompt", message, fields=", ".join(data))
        return name

    def responses_of(self, row: Row, data: Mapping[str, Any], prompt: str) -> list[str]:
        if self.responses:
            if missing := [name for name in self.responses if not isinstance(data.get(name), str)]:
                row.fail(missing[0], _("is missing; it was named by --response-fields"))
            return list(self.responses)
        names = [n for n, value in data.items() if n != prompt and isinstance(value, str) and RESPONSES.search(n)]
        if len(names) < 2:
            message = _("fewer than two fields of %(fields)s look like responses; use --response-fields")
            row.fail("responses", message, fields=", ".join(data))
        return sorted(names)


def match(row: Row, field: str, named: Any, names: Sequence[str]) -> str:
    """The one of `names` that a tool means by a name such as response-1, response_1 or 1."""
    if named in names:
        return str(named)
    number = re.search(r"(?<!\d)(\d+)$", str(named)[-20:])
    same = [name for name in names if number and re.search(rf"(?<!\d){number[1]}$", name)]
    if len(same) != 1:
        row.fail(field, _("%(named)r names none of %(names)s"), named=named, names=", ".join(names))
    return same[0]


def mark_read(row: Row, *names: str) -> None:
    """These fields were read, by way of a copy of the row."""
    for name in names:
        row.values.get(name)
