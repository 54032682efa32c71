"""Read JSON in every layout that people export: lines, arrays, pretty-printed objects, columns, an object around rows.

Lines are parsed one by one. Everything else goes through ijson's event stream, so that memory holds one row, not
the file; only columns, which have no rows until all of them are read, are held whole.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from typing import IO, Any

import ijson
from django.utils.translation import gettext as _

from annotate.exchange.files.limits import Limits
from annotate.exchange.files.rows import why_no_json
from core.errors import PalateError

MAX_DEPTH = 200
# What a value takes in memory beside its text, at least.
VALUE_BYTES = 16


class Malformed(PalateError):
    """The text is not JSON, or not JSON that holds rows."""


Entry = tuple[int, Any]  # where it stands (line, or number in its array), and its value


def parse_line(line: str | bytes) -> Any:
    """The value of a JSON text. Raises Malformed that says why it is not JSON, UnicodeDecodeError for other text."""
    try:
        return json.loads(line)
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise Malformed(_("is not JSON (%(why)s)") % {"why": why_no_json(error)}) from None


def is_json(line: bytes) -> bool:
    try:
        parse_line(line)
    except Malformed:
        return False
    return True


def entries(stream: IO[bytes], limits: Limits) -> Iterator[Entry]:
    """Rows of a stream of JSON: those of arrays, objects that follow each other, the rows within an object, or columns.

    A row, and all columns together, may have limits.line_bytes. Raises Malformed at what is not JSON.
    """
    try:
        yield from _entries(ijson.basic_parse(stream, multiple_values=True), limits.line_bytes)
    except ijson.JSONError as error:
        # The parser draws the place with an arrow, on lines of its own.
        raise Malformed(_("is not JSON (%(why)s)") % {"why": " ".join(str(error).split())[:120]}) from None
    except (ValueError, ArithmeticError):
        raise Malformed(_("is not JSON (%(why)s)") % {"why": _("a number has too many digits")}) from None


def _entries(events: Iterator[tuple[str, Any]], max_bytes: int) -> Iterator[Entry]:
    number = 0
    for event in events:
        if event[0] == "start_array":
            for inner in events:
                if inner[0] == "end_array":
                    break
                number += 1
                yield number, _build(inner, events, max_bytes)
        elif event[0] == "start_map":
            for value in _object(events, max_bytes):
                number += 1
                yield number, value
        else:
            number += 1
            yield number, _plain(event[1])


def _object(events: Iterator[tuple[str, Any]], max_bytes: int) -> Iterator[Any]:
    """A top-level object: a row, an object around an array of rows, or a table by columns.

    An array of objects streams if it is the object's first array; the fields around it are no rows.
    """
    fields: dict[str, Any] = {}
    taken = 0
    for kind, name in events:
        if kind == "end_map":
            break
        event = next(events)
        if isinstance(event[1], str):
            taken += len(event[1])
            _check_size(taken, max_bytes)
        if event[0] == "start_array":
            first = next(events)
            if first[0] == "start_map" and _around_rows(name, fields):
                yield from _rows_within(first, events, max_bytes)
                return
            fields[name] = _rest_of_array(first, events, max_bytes)
        else:
            fields[name] = _build(event, events, max_bytes)
    yield from _by_columns(fields)


# Fields of a row: an object that has one of them next to an array is a row itself, not a frame around rows.
OF_ROWS = {"prompt", "text", "question", "instruction", "query", "chosen", "rejected", "response", "completion"}
ROW_FIELDS = ("data", "rows", "records", "items", "examples", "instances", "results", "tasks", "train")


def _around_rows(name: str, before: dict[str, Any]) -> bool:
    """Whether this field's array holds the file's rows. A row may hold arrays of objects of its own, such as
    messages, so only known names count."""
    return name in ROW_FIELDS and not OF_ROWS & set(before)


def _rows_within(first: tuple[str, Any], events: Iterator[tuple[str, Any]], max_bytes: int) -> Iterator[Any]:
    for event in chain([first], events):
        if event[0] == "end_array":
            break
        row = _build(event, events, max_bytes)
        # The form of the dataset server: the row stands inside, beside its number.
        inner = row.get("row") if isinstance(row, dict) else None
        yield inner if isinstance(inner, dict) and "row_idx" in row else row
    for kind, name in events:
        if kind == "end_map":
            return
        value = _build(next(events), events, max_bytes)
        if name in OF_ROWS:
            raise Malformed(_("holds rows and, next to them, the field %(name)r of a row") % {"name": name})
        if isinstance(value, list) and value and isinstance(value[0], dict) and name in ROW_FIELDS:
            message = _("holds rows in more than one field; divide the file (the second is %(name)r)")
            raise Malformed(message % {"name": name})


def _by_columns(fields: dict[str, Any]) -> Iterator[Any]:
    """The rows of columns: arrays of one length, or objects with the same keys, as pandas writes them."""
    values = list(fields.values())
    if len(values) > 1 and all(isinstance(value, list) for value in values):
        lengths = {len(value) for value in values}
        # One row may well hold two conversations; columns hold plain values in at least one field.
        if any(value and not isinstance(value[0], dict | list) for value in values):
            if len(lengths) > 1:
                message = _("holds columns of different lengths: %(lengths)s")
                raise Malformed(message % {"lengths": ", ".join(f"{name} {len(v)}" for name, v in fields.items())})
            yield from (dict(zip(fields, row, strict=True)) for row in zip(*values, strict=True))
            return
    if values and all(isinstance(value, dict) and value for value in values):
        keys = list(values[0])
        if all(key.isdigit() for key in keys) and all(list(value) == keys for value in values):
            yield from ({name: value[key] for name, value in fields.items()} for key in keys)
            return
    yield fields


def _rest_of_array(first: tuple[str, Any], events: Iterator[tuple[str, Any]], max_bytes: int) -> list[Any]:
    return _build(("start_array", None), chain([first], events), max_bytes)


def _check_size(taken: int, max_bytes: int) -> None:
    if taken > max_bytes:
        raise Malformed(_("holds a row of more than %(max)d MB") % {"max": max_bytes // 1024**2})


def _plain(value: Any) -> Any:
    """Numbers as json.loads gives them: with floats asked for, ijson refuses integers of more than 64 bits."""
    return float(value) if isinstance(value, Decimal) else value


def _build(event: tuple[str, Any], events: Iterator[tuple[str, Any]], max_bytes: int) -> Any:
    """The value that begins with this event. Raises Malformed where it is nested too deeply or too long."""
    if event[0] not in ("start_map", "start_array"):
        return _plain(event[1])
    root: Any = {} if event[0] == "start_map" else []
    open_values: list[Any] = [root]
    names: list[str] = [""]
    taken = 0
    for kind, value in events:
        within = open_values[-1]
        if kind == "map_key":
            names[-1] = value
            taken += len(value)
        elif kind in ("end_map", "end_array"):
            open_values.pop()
            names.pop()
            if not open_values:
                return root
        else:
            made: Any = {} if kind == "start_map" else [] if kind == "start_array" else _plain(value)
            if isinstance(within, dict):
                within[names[-1]] = made
            else:
                within.append(made)
            taken += VALUE_BYTES + (len(value) if isinstance(value, str) else 0)
            _check_size(taken, max_bytes)
            if kind in ("start_map", "start_array"):
                open_values.append(made)
                names.append("")
                if len(open_values) > MAX_DEPTH:
                    raise Malformed(_("is nested more than %(max)d levels deep") % {"max": MAX_DEPTH})
    raise Malformed(_("is not JSON (it ends in the middle of a value)"))
