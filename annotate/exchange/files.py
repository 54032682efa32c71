"""A row of a file that somebody brings: its fields as texts, names, numbers and lists, with errors that name them."""

import difflib
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from annotate.errors import PalateError


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its values, and where it stands for the messages."""

    file: Path
    line: int
    values: dict[str, Any]

    def fail(self, field: str, message: str) -> NoReturn:
        raise PalateError(f"{self.file.name} line {self.line}, field {field}: {message}")

    def text(self, field: str, *, required: bool = True, blank: bool = False) -> str:
        """A text; numbers are taken as their digits. Raises PalateError when it is missing, blank or no text."""
        value = self.values.get(field)
        if value is None or value == "":
            if required and not blank:
                self.fail(field, "is missing or empty; expected a text")
            return ""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            self.fail(field, f"{_shown(value)} is not a text")
        if "\0" in value:
            self.fail(field, "holds a NUL character, which PostgreSQL cannot store")
        if not _encodes(value):
            self.fail(field, "holds half a surrogate pair, which is not valid Unicode")
        if required and not value.strip():
            self.fail(field, "is blank; expected a text")
        return value

    def name(self, field: str, *, required: bool = True) -> str:
        """A short text, such as an id or an author."""
        value = self.text(field, required=required)
        if len(value) > 200:
            self.fail(field, f"has {len(value)} characters; at most 200 are allowed")
        return value

    def tags(self, field: str) -> list[str]:
        """Words of at most 50 characters: a list, or a text with commas between them."""
        value = self.values.get(field)
        words = value if isinstance(value, list) else self.text(field, required=False).split(",")
        if not all(isinstance(word, str) and len(word) <= 50 and "\0" not in word for word in words):
            self.fail(field, f"{_shown(value)}: expected words of at most 50 characters with commas between them")
        return sorted({word.strip() for word in words if word.strip()})

    def number(self, field: str) -> float | None:
        value = self.values.get(field)
        if value is None:
            return None
        if not is_number(value):
            self.fail(field, f"{_shown(value)} is not a number")
        return float(value)

    def list_of(self, field: str, length: int | None = None) -> list[Any]:
        value = self.values.get(field)
        if not isinstance(value, list):
            self.fail(field, f"{_shown(value)} is not a list")
        if length is not None and len(value) != length:
            self.fail(field, f"has {len(value)} entries; expected {length}, one a response")
        return value


def _encodes(text: str) -> bool:
    """Whether the text is valid Unicode; looking for surrogates letter by letter was most of an import's time."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_number(value: Any) -> bool:
    """A finite number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "…"


def check_known(where: str, what: str, names: Collection[str], known: Collection[str]) -> None:
    """Raises PalateError at a name that is not known, with the known one that looks like it."""
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise PalateError(f"{where}: unknown {what} {name!r}; expected {', '.join(sorted(known))}{hint}")
