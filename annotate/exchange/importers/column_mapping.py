"""Names for the columns of a foreign table: `prompt=question` makes the column `question` the field `prompt`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, Values
from annotate.exchange.files.sources import InvalidRow
from annotate.exchange.formats.plain import SCORE
from core.errors import PalateError

FIELDS = (
    *("prompt", "system", "history", "reference", "context", "prompt_id", "group", "split", "audience"),
    *("chosen", "rejected", "completion", "label"),
    *("response", "response_id", "author", "response_a", "response_b", "author_a", "author_b", "winner", "strength"),
    *("responses", "ranks", "text", "rating"),
    *("rater", "judgement_id", "comment", "seconds", "at"),
)


def parse_mapping(fields: Sequence[str], ignored: Sequence[str]) -> "FieldMapping":
    """fields: FIELD=COLUMN each. ignored: columns. Raises PalateError at what is neither."""
    pairs: dict[str, str] = {}
    for text in filter(None, map(str.strip, fields)):
        name, equals, column = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise PalateError(_("--map %(text)s: expected FIELD=COLUMN, such as prompt=question") % {"text": text})
        if name in pairs:
            raise PalateError(_("--map %(name)s: is mapped twice") % {"name": name})
        pairs[name] = column
    return FieldMapping(pairs, tuple(filter(None, map(str.strip, ignored))))


def parse_scales(text: str) -> dict[str, tuple[float, float]]:
    """KEY:MIN:MAX with commas between them, as criterion to range. Raises PalateError at what is none."""
    return dict(parse_scale(part.strip()) for part in text.split(",") if part.strip())


def parse_scale(text: str) -> tuple[str, tuple[float, float]]:
    """KEY:MIN:MAX as (key, (min, max))."""
    try:
        key, low, high = text.split(":")
        scale = float(low), float(high)
    except ValueError:
        raise PalateError(_("%(text)r is not KEY:MIN:MAX, such as fluency:1:5") % {"text": text}) from None
    if not key or not float("-inf") < scale[0] < scale[1] < float("inf"):
        raise PalateError(_("%(text)r: the lowest score must lie below the highest") % {"text": text})
    return key, scale


@dataclass(frozen=True)
class FieldMapping:
    """fields: Palate's field to the file's column. ignored: columns that are left out."""

    fields: Mapping[str, str] = field(default_factory=dict)
    ignored: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, column in self.fields.items():
            if name not in FIELDS and not (name.startswith(SCORE) and len(name) > len(SCORE)):
                known = ", ".join((*FIELDS, f"{SCORE}CRITERION"))
                raise PalateError(_("--map %(name)s: expected one of %(known)s") % {"name": name, "known": known})
            if not column:
                raise PalateError(_("--map %(name)s: names no column; expected %(name)s=COLUMN") % {"name": name})

    def apply(self, row: Row) -> Row:
        """The row under Palate's names, which keeps in mind which of them are read."""
        if isinstance(row, InvalidRow):
            return row
        values = {name: value for name, value in row.values.items() if name not in self.ignored}
        moved = {name: values.pop(column) for name, column in self.fields.items() if column in values}
        if taken := next((name for name in moved if name in values), ""):
            message = _(
                "is mapped from %(column)s, but the row has a field of that name, too; leave it out with --ignore"
            )
            row.fail(taken, message, column=self.fields[taken])
        columns = {name: column for name, column in self.fields.items() if name in moved}
        return Row(row.file, row.line, Values({**values, **moved}), columns)

    def check(self, row: Row) -> None:
        """Raises PalateError when the first row lacks a column that a flag names."""
        flags = [(column, f"--map {name}={column}") for name, column in self.fields.items()]
        flags += [(column, f"--ignore {column}") for column in self.ignored if "[]" not in column]
        for column, flag in flags:
            if column not in row.values:
                message = _("%(flag)s: the file has no such field; its fields are %(fields)s")
                raise PalateError(message % {"flag": flag, "fields": ", ".join(row.values)})
