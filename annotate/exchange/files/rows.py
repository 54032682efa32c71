"""A row of a file that somebody brings: its fields as texts, names, numbers and lists, with errors that name them."""

import difflib
import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from core.errors import PalateError

# How files begin that are often brought under the name of a text file.
OTHER_KINDS = {
    b"PK\x03\x04": gettext_noop("a zip archive or a spreadsheet"),
    b"\xd0\xcf\x11\xe0": gettext_noop("an Office document"),
    b"%PDF": gettext_noop("a PDF document"),
    b"PAR1": gettext_noop("a Parquet file"),
    b"BZh": gettext_noop("bzip2 data"),
    b"\xfd7zXZ": gettext_noop("xz data"),
    b"\x28\xb5\x2f\xfd": gettext_noop("zstd data"),
    b"\x89PNG": gettext_noop("a picture"),
    b"SQLite format 3": gettext_noop("a database"),
    b"\xff\xfe\0\0": gettext_noop("UTF-32 text"),
    b"\xff\xfe": gettext_noop("UTF-16 text"),
    b"\xfe\xff": gettext_noop("UTF-16 text"),
}
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)


class Values(dict[str, Any]):
    """The fields of a row, which keeps in mind which of them were read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.seen: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.add(name)
        return super().get(name, default)

    def unread(self) -> dict[str, Any]:
        """The fields that hold something and that nobody read."""
        return {name: value for name, value in self.items() if name not in self.seen and not is_empty(value)}


def is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, float) and value != value)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its values, and where it stands for the messages. columns: the name in the file of a field
    that was mapped."""

    file: Path
    line: int
    values: dict[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)

    def fail(self, field: str, message: str, /, **named: object) -> NoReturn:
        """Raises PalateError at a field of this row. named: the values of the placeholders in the message."""
        template = _("%(file)s line %(line)d, field %(field)s: %(message)s")
        place = {"file": self.file.name, "line": self.line, "field": self.columns.get(field, field)}
        raise PalateError(template % {**place, "message": message % named})

    def text(self, field: str, *, required: bool = True, blank: bool = False) -> str:
        """A text; numbers are taken as their digits. Raises PalateError when it is missing, blank or no text. blank:
        an empty text is one, too, as of a model that wrote nothing."""
        value = self.values.get(field)
        if value is None or value == "":
            if required and (value is None or not blank):
                missing = _("is missing; expected a text")
                self.fail(field, missing if blank else _("is missing or empty; expected a text"))
            return ""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            self.fail(field, _("%(value)s is not a text"), value=brief(value))
        if "\0" in value:
            self.fail(field, _("holds a NUL character, which PostgreSQL cannot store"))
        if not encodes(value):
            self.fail(field, _("holds half a surrogate pair, which is not valid Unicode"))
        if required and not blank and not value.strip():
            self.fail(field, _("is blank; expected a text"))
        return value

    def has(self, field: str) -> bool:
        """Whether the field holds something; that alone does not read it."""
        return field in self.values and not is_empty(dict.get(self.values, field))

    def name(self, field: str, *, required: bool = True) -> str:
        """A short text, such as an id or an author."""
        value = self.text(field, required=required)
        if len(value) > 200:
            self.fail(field, _("has %(length)d characters; at most %(most)d are allowed"), length=len(value), most=200)
        return value

    def tags(self, field: str) -> list[str]:
        """Words of at most 50 characters: a list, or a text with commas between them."""
        value = self.values.get(field)
        if value in (None, "", []):
            return []
        words = value if isinstance(value, list) else self.text(field, required=False).split(",")
        if not all(isinstance(word, str) and len(word) <= 50 and storable(word) for word in words):
            message = _("%(value)s: expected words of at most 50 characters with commas between them")
            self.fail(field, message, value=brief(value))
        return sorted({word.strip() for word in words if word.strip()})

    def number(self, field: str) -> float | None:
        value = self.values.get(field)
        if value is None:
            return None
        if not is_number(value):
            self.fail(field, _("%(value)s is not a number"), value=brief(value))
        return float(value)

    def list_of(self, field: str, length: int | None = None) -> list[Any]:
        value = self.values.get(field)
        if not isinstance(value, list):
            self.fail(field, _("%(value)s is not a list"), value=brief(value))
        if length is not None and len(value) != length:
            message = _("number of entries: %(entries)d; expected %(length)d, one for each response")
            self.fail(field, message, entries=len(value), length=length)
        return value


def encodes(text: str) -> bool:
    """Whether the text is valid Unicode; looking for surrogates letter by letter was most of an import's time."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> bool:
    return "\0" not in text and encodes(text)


def is_number(value: Any) -> bool:
    """A number that is finite as a float; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def moment_of(text: str) -> datetime | None:
    """The moment that a text names in ISO 8601, in this server's time zone where it names none.

    None for any other text and for moments that are not of the past: PostgreSQL stores years that Python cannot read.
    """
    try:
        moment = parse_datetime(text)
        if moment is None:
            return None
        aware = moment if timezone.is_aware(moment) else timezone.make_aware(moment)
        return aware if is_past(aware) else None
    except (ValueError, OverflowError):
        return None


def is_past(moment: datetime) -> bool:
    """Whether a moment may be one at which somebody judged. A day ahead is a clock that goes wrong, or a time zone that
    was left out."""
    return EARLIEST <= moment <= timezone.now() + timedelta(days=1)


def brief(value: Any) -> str:
    """A value as messages show it, cut where it is long."""
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "…"


def other_kind(start: bytes) -> str:
    """What a file that begins so is, when it is no UTF-8 text; empty when it may be."""
    known = next((kind for magic, kind in OTHER_KINDS.items() if start.startswith(magic)), "")
    # Every second byte NUL: Latin letters in two bytes each, without a mark of order.
    kind = known or ("UTF-16 text" if {0} in (set(start[:20:2]), set(start[1:20:2])) else "")
    return kind and _(kind)


def why_no_json(error: ValueError | RecursionError) -> str:
    """What is wrong with a text that json.loads refused, in a few words."""
    if isinstance(error, RecursionError):
        return _("nested too deeply")
    return error.msg if isinstance(error, json.JSONDecodeError) else _("a number has too many digits")


def wrong(file: Path | str, message: str, line: int | None = None) -> PalateError:
    """What to raise at a file, or at a line of it as a whole."""
    if line is None:
        return PalateError(_("%(file)s: %(message)s") % {"file": file, "message": message})
    return PalateError(_("%(file)s line %(line)d: %(message)s") % {"file": file, "line": line, "message": message})


def unknown(name: str, known: Collection[str], *, column: bool) -> str:
    """What is said of a column or field that is not known, with the known one that looks like it."""
    message = (
        _("unknown column %(name)r; expected %(known)s") if column else _("unknown field %(name)r; expected %(known)s")
    )
    close = difflib.get_close_matches(name, known, n=1)
    hint = _("; did you mean %(name)r?") % {"name": close[0]} if close else ""
    return message % {"name": name, "known": ", ".join(sorted(known))} + hint
