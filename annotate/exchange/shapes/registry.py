"""The shapes that Palate reads, and how to tell them apart."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial

from django.utils.translation import gettext as _

from annotate.exchange.bundles import Bundle
from annotate.exchange.files import Row, wrong
from annotate.exchange.shapes import arena, argilla, label_studio, oasst, pairs, plain, ratings, raw
from annotate.exchange.shapes.fields import Fields
from annotate.exchange.sources import Damaged

Parse = Callable[[Row], list[Bundle]]
SHAPES = {
    "raw": "Palate's own raw export",
    "responses": "a row a response: prompt, response",
    "ratings": "a row a text: text, rating",
    "prompts": "a row a prompt: prompt or text",
    "trl": "TRL: prompt, chosen, rejected; implicit prompts; prompt, completion, label",
    "hh-rlhf": "HH-RLHF: chosen and rejected dialogues",
    "arena": "Chatbot Arena battles",
    "oasst": "OpenAssistant message trees",
    "label-studio": "Label Studio: JSON of Pairwise and Ranker",
    "argilla": "Argilla records",
}


def parser(shape: str, fields: Fields) -> Parse:
    """The function from a row to what it holds; it raises PalateError that names row and field."""
    parsers: dict[str, Parse] = {
        "raw": raw.raw,
        "responses": plain.responses,
        "ratings": ratings.ratings,
        "prompts": plain.prompts,
        "trl": pairs.trl,
        "hh-rlhf": pairs.hh,
        "arena": arena.arena,
        "oasst": oasst.oasst,
        "label-studio": partial(label_studio.label_studio, fields=fields),
        "argilla": partial(argilla.argilla, fields=fields),
    }
    parse = parsers[shape]

    def sound(row: Row) -> list[Bundle]:
        if isinstance(row, Damaged):
            row.refuse()
        return parse(row)

    return sound


def gathered(shape: str, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows as units of the shape: one a judgement for `raw`, with their places for `ratings`, else as they are."""
    units: dict[str, Callable[[Iterable[Row]], Iterator[Row]]] = {"raw": raw.gather, "ratings": ratings.placed}
    return units.get(shape, iter)(rows)


def guess(row: Row) -> str:
    """The shape of a file by its first row. Raises PalateError that lists the shapes when none fits."""
    if isinstance(row, Damaged):
        row.refuse()
    names = set(row.values)
    for shape, fits in _SIGNS.items():
        if fits(names, row):
            return shape
    known = ", ".join(SHAPES)
    said = _("the fields %(fields)s fit no shape; name one of %(known)s with --shape")
    first = ", ".join(sorted(names)[:12]) or _("of the first row")
    raise wrong(row.file.name, said % {"fields": first, "known": known})


def _has(*wanted: str) -> Callable[[Collection[str], Row], bool]:
    return lambda names, row: set(wanted) <= set(names)


_SIGNS: dict[str, Callable[[Collection[str], Row], bool]] = {
    "raw": _has("judgement", "position", "rater_kind"),
    "label-studio": _has("data", "annotations"),
    "argilla": lambda names, row: {"fields", "responses"} <= set(names) or any(n.endswith(".responses") for n in names),
    "oasst": lambda names, row: "message_tree_id" in names and isinstance(row.values.get("prompt"), dict),
    "arena": lambda names, row: {"model_a", "model_b"} <= set(names),
    "hh-rlhf": lambda names, row: (
        {"chosen", "rejected"} <= set(names)
        and "prompt" not in names
        and isinstance(row.values["chosen"], str)
        and pairs.ASSISTANT in row.values["chosen"]
    ),
    "trl": lambda names, row: {"chosen", "rejected"} <= set(names) or {"prompt", "completion", "label"} <= set(names),
    "responses": _has("prompt", "response"),
    "ratings": _has("text", "rating"),
    "prompts": lambda names, row: bool({"prompt", "text"} & set(names)),
}
