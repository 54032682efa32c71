"""The shapes that Palate reads, and how to tell them apart."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import structlog
from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, wrong
from annotate.exchange.files.sources import InvalidRow
from annotate.exchange.formats import arena, argilla, label_studio, oasst, pairs, plain, prodigy, ratings, raw
from annotate.exchange.formats.fields import Fields
from annotate.exchange.formats.prompts import QUESTIONS
from annotate.exchange.importers.import_records import Bundle
from annotate.exchange.importers.notes import Notes

log = structlog.get_logger("palate.imports")
Parse = Callable[[Row], list[Bundle]]
SHAPES = {
    "raw": "Palate's own raw export",
    "responses": "a row a response: prompt, response, score:CRITERION",
    "comparisons": "a row a comparison: prompt, response_a, response_b, winner",
    "candidates": "a row a prompt with a list: prompt, responses, ranks",
    "ratings": "a row a text: text, rating",
    "prompts": "a row a prompt: prompt or text",
    "trl": "TRL: prompt, chosen, rejected; implicit prompts; prompt, completion, label",
    "hh-rlhf": "HH-RLHF: chosen and rejected dialogues",
    "arena": "Chatbot Arena and MT-Bench battles",
    "oasst": "OpenAssistant message trees",
    "label-studio": "Label Studio: JSON of Pairwise, Ranker and Choices",
    "label-studio-flat": "Label Studio: CSV or JSON_MIN of Pairwise and Ranker",
    "argilla": "Argilla records",
    "prodigy": "Prodigy: choice",
}


def parser(shape: str, fields: Fields, notes: Notes) -> Parse:
    """The function from a row to what it holds; it raises PalateError that names row and field."""
    parsers: dict[str, Parse] = {
        "raw": raw.raw,
        "responses": plain.responses,
        "comparisons": plain.comparisons,
        "candidates": plain.candidates,
        "ratings": ratings.ratings,
        "prompts": plain.prompts,
        "trl": pairs.trl,
        "hh-rlhf": pairs.hh,
        "arena": arena.arena,
        "oasst": partial(oasst.oasst, notes=notes),
        "label-studio": partial(label_studio.label_studio, fields=fields, notes=notes),
        "label-studio-flat": partial(label_studio.flat, fields=fields, notes=notes),
        "argilla": partial(argilla.argilla, fields=fields, notes=notes),
        "prodigy": partial(prodigy.prodigy, notes=notes),
    }
    parse = parsers[shape]

    def sound(row: Row) -> list[Bundle]:
        if isinstance(row, InvalidRow):
            row.refuse()
        try:
            return parse(row)
        # JSON may hold a value of any kind anywhere, and a shape looks into many of them.
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
            log.warning("row_not_read", shape=shape, line=row.line, exc_info=True)
            message = _("cannot be read as %(shape)s: a field holds a value of another kind than expected")
            raise wrong(row.file.name, message % {"shape": shape}, row.line) from None

    return sound


def gathered(shape: str, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows as units of the shape: one a judgement for `raw`, with their places for `ratings`, else as they are."""
    units: dict[str, Callable[[Iterable[Row]], Iterator[Row]]] = {"raw": raw.gather, "ratings": ratings.placed}
    return units.get(shape, iter)(rows)


def guess(row: Row) -> str:
    """The shape of a file by its first row. Raises PalateError that lists the shapes when none fits."""
    if isinstance(row, InvalidRow):
        row.refuse()
    if _has("message_id", "parent_id", "role", "text")(row):
        message = _("holds single messages of OpenAssistant; import the file of trees (message_tree_id, prompt)")
        raise wrong(row.file.name, message)
    for shape, fits in _SIGNS.items():
        if fits(row):
            return shape
    known = ", ".join(SHAPES)
    message = _(
        "the fields %(fields)s fit no shape; give them Palate's names with --map, such as --map prompt=COLUMN, or name "
        "one of %(known)s with --shape"
    )
    first = ", ".join(sorted(row.values)[:12]) or _("of the first row")
    raise wrong(row.file.name, message % {"fields": first, "known": known})


def _has(*names: str) -> Callable[[Row], bool]:
    return lambda row: set(names) <= set(row.values)


def _asks(row: Row) -> bool:
    return any(name in row.values for name in ("prompt", *QUESTIONS))


def _is_argilla(row: Row) -> bool:
    return _has("fields", "responses")(row) or any(
        name.endswith(argilla.SUFFIX) or argilla.holds_answers(value) for name, value in row.values.items()
    )


def _is_hh(row: Row) -> bool:
    named = _has("chosen", "rejected")(row) and not row.has("prompt")
    chosen = dict.get(row.values, "chosen")
    return named and isinstance(chosen, str) and pairs.ASSISTANT in chosen


_SIGNS: dict[str, Callable[[Row], bool]] = {
    "raw": _has("judgement", "position", "rater_kind"),
    "label-studio": _has("data", "annotations"),
    "label-studio-flat": _has("annotation_id", "annotator", "lead_time"),
    "argilla": _is_argilla,
    "prodigy": _has("options", "accept", "answer"),
    "oasst": lambda row: row.has("message_tree_id") and isinstance(dict.get(row.values, "prompt"), dict),
    "arena": _has("model_a", "model_b"),
    "hh-rlhf": _is_hh,
    "trl": lambda row: _has("chosen", "rejected")(row) or _has("prompt", "completion", "label")(row),
    "comparisons": _has("response_a", "response_b", "winner"),
    "candidates": lambda row: isinstance(dict.get(row.values, "responses"), list),
    "responses": lambda row: "response" in row.values and _asks(row),
    "ratings": _has("text", "rating"),
    "prompts": lambda row: "text" in row.values or _asks(row),
}
