"""Options of a job, declared once as dataclass fields; flags, forms and validation are derived from them."""

import argparse
import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from core.errors import PalateError
from training.runs.choice_labels import spoken

C = TypeVar("C")
# Words that are not written as they are pronounced.
SPELLED = {"kl": "KL", "lora": "LoRA", "4bit": "4-bit"}
FLAG = re.compile(r"--([a-z][a-z0-9-]*)")
# What a command may name where a model is wanted; pages list models instead.
NAMED = {"policy": "a model version, a folder or a hub name", "preference": "a model version or a folder"}


def option(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    of_model: str = "",
    several: bool = False,
    advanced: str = "",
    commands_only: bool = False,
    on_pages: tuple[str, ...] = (),
    for_commands: str = "",
    setting: str = "",
) -> Any:
    """A field of a job's options. Without a default it is required.

    of_model: "policy" or "preference" when the value names a model, or `several` with commas between them; what may be
    named is added to the help. advanced: pages fold it away under this heading. commands_only: the value names
    something of this machine (a file, a function), which only somebody with a shell on it may do; so does `output` in
    every job. on_pages: what pages and the API may choose of such an option, while a command may name anything, of
    which for_commands tells, and no page. setting: pages offer the option only where this setting is filled in.
    """
    meta = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "of_model": of_model,
        "several": several,
        "advanced": advanced,
        "commands_only": commands_only,
        "on_pages": on_pages,
        "for_commands": for_commands,
        "setting": setting,
    }
    return dataclasses.field(default=default, metadata=meta)


PRECISION: str = option(
    "float32",
    help="numbers of the model's linear layers while it scores; int8 is faster on processors and rounds",
    choices=("float32", "int8"),
    advanced="Speed and memory",
)
TRACK: str = option(
    "none",
    help="send the metrics to a tracker, too",
    choices=("none", "tensorboard", "wandb", "trackio"),
    advanced="Report",
)


def _kind(field: dataclasses.Field[Any]) -> type:
    """The plain type of a field; `int | None` counts as int."""
    text = str(field.type).replace("| None", "").strip()
    return {"int": int, "float": float, "str": str, "bool": bool}[getattr(field.type, "__name__", text)]


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def label_of(name: str) -> str:
    """What a page calls an option."""
    first, *others = [SPELLED.get(word, word) for word in name.split("_")]
    return " ".join([first[:1].upper() + first[1:], *others])


def with_choices(options: type) -> set[str]:
    """The names of the options whose values are some of a few words."""
    fields = dataclasses.fields(options)
    return {field.name for field in fields if field.metadata["choices"] or field.metadata["on_pages"]}


def on_a_page(message: str) -> str:
    """What a job says of its flags, with the labels of the page in their place."""
    return FLAG.sub(lambda flag: f"“{gettext(label_of(flag[1].replace('-', '_')))}”", message)


def words_of(options: type) -> set[str]:
    """All that a page says of the options. Commands speak English; pages translate (training.jobs.words)."""
    fields = [field for field in dataclasses.fields(options) if not _commands_only(field)]
    said = {word for field in fields for word in (field.metadata["help"], field.metadata["advanced"])}
    return (said | {label_of(field.name) for field in fields}) - {""}


def add_arguments(parser: argparse.ArgumentParser, options: type, *, positional: str = "") -> None:
    """Give the parser one flag for each option, with its help and default; `positional` goes without a flag."""
    for field in dataclasses.fields(options):
        if field.name == positional:
            parser.add_argument(field.name, metavar=field.name.upper(), help=_command_help(field))
            continue
        kind, help_text = _kind(field), _command_help(field).replace("%", "%%")
        if kind is bool:
            parser.add_argument(
                flag_of(field.name),
                action=argparse.BooleanOptionalAction,
                default=field.default,
                help=help_text,
            )
            continue
        shown = "" if _required(field) or field.default in ("", None) else f" (default: {field.default})"
        parser.add_argument(
            flag_of(field.name),
            required=_required(field),
            default=None if _required(field) else field.default,
            choices=field.metadata["choices"] or None,
            metavar=None if field.metadata["choices"] else field.name.upper(),
            help=help_text + shown,
        )


def _command_help(field: dataclasses.Field[Any]) -> str:
    meta = field.metadata
    said, named = "; ".join(filter(None, (meta["help"], meta["for_commands"]))), NAMED.get(meta["of_model"])
    if not named:
        return said
    return f"{said} ({named}; several with commas between them)" if meta["several"] else f"{said} ({named})"


def _page_help(field: dataclasses.Field[Any], models: Mapping[str, list[tuple[str, str]]]) -> str:
    said, of_model = on_a_page(gettext(field.metadata["help"])), field.metadata["of_model"]
    if not of_model:
        return said
    if not models.get(of_model):
        return gettext("%(help)s. There is none yet.") % {"help": said}
    return gettext("%(help)s. Listed: this study's models and those that all studies share.") % {"help": said}


def parse(options: type[C], values: Mapping[str, Any]) -> C:
    """Make the options from raw values (flags, form fields, a Run's config).

    Raises PalateError that names the flag, what was given and what would be right.
    """
    known = {field.name: field for field in dataclasses.fields(options)}  # type: ignore[arg-type]
    if unknown := set(values) - set(known):
        raise PalateError(f"unknown option {sorted(unknown)[0]!r}; expected one of {', '.join(known)}")
    return options(**{name: _value(field, values.get(name, _absent(field))) for name, field in known.items()})


def _commands_only(field: dataclasses.Field[Any]) -> bool:
    return field.name == "output" or bool(field.metadata["commands_only"])


def _can_be_set(field: dataclasses.Field[Any]) -> bool:
    return not field.metadata["setting"] or bool(getattr(settings, field.metadata["setting"]))


def refuse_commands_only(options: type, values: Mapping[str, Any]) -> None:
    """Raises PalateError when the values set an option that only a command may set."""
    for field in dataclasses.fields(options):
        allowed = field.metadata["on_pages"]
        if not (_commands_only(field) or allowed) or values.get(field.name) in (None, "", field.default, *allowed):
            continue
        other = f"; elsewhere it must be one of {', '.join(allowed)}" if allowed else ""
        raise PalateError(
            f"{flag_of(field.name)} names something of the server; only a command there can set it{other}"
        )


def _absent(field: dataclasses.Field[Any]) -> Any:
    return None if _required(field) else field.default


def _value(field: dataclasses.Field[Any], raw: Any) -> Any:
    flag, kind, meta = flag_of(field.name), _kind(field), field.metadata
    if raw is None or raw == "":
        if _required(field):
            raise PalateError(f"{flag} is needed: {meta['help']}")
        return field.default
    try:
        value = raw if kind is bool else kind(raw)
    except (TypeError, ValueError):
        word = {int: "a whole number", float: "a number"}[kind]
        raise PalateError(f"{flag} must be {word}, not {raw!r}") from None
    if kind is float and not math.isfinite(value):
        raise PalateError(f"{flag} must be a finite number, not {raw!r}")
    if meta["minimum"] is not None and value < meta["minimum"]:
        raise PalateError(f"{flag} must be at least {meta['minimum']:g}, not {value:g}")
    if meta["maximum"] is not None and value > meta["maximum"]:
        raise PalateError(f"{flag} must be at most {meta['maximum']:g}, not {value:g}")
    if meta["choices"] and value not in meta["choices"]:
        raise PalateError(f"{flag} must be one of {', '.join(meta['choices'])}, not {value!r}")
    return value


class SeveralField(forms.MultipleChoiceField):
    """Some of the choices, cleaned to their values with commas between them, which the API may send as well."""

    def to_python(self, value: Any) -> list[str]:
        return super().to_python(
            [part.strip() for part in value.split(",")] if value and isinstance(value, str) else value
        )

    def clean(self, value: Any) -> str:
        return ",".join(super().clean(value))


class OptionsForm(forms.Form):
    """Options of a job; `headings` says under which heading a page folds a field away."""

    headings: Mapping[str, str] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def asks(self) -> bool:
        """Whether anything must be filled in."""
        return any(field.required for field in self.fields.values())

    def plain(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if not self.headings.get(name)]

    def folded(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """(heading, its fields, whether any of them is wrong), in the order of the options."""
        sections: dict[str, list[forms.BoundField]] = {}
        for name in self.fields:
            if heading := self.headings.get(name):
                sections.setdefault(gettext(heading), []).append(self[name])
        return [(heading, fields, any(f.errors for f in fields)) for heading, fields in sections.items()]


def form_of(options: type, *, models: Mapping[str, list[tuple[str, str]]]) -> type[OptionsForm]:
    """A form with one field for each option. `models` gives the choices for options that name a model."""
    shown = [field for field in dataclasses.fields(options) if not _commands_only(field) and _can_be_set(field)]
    fields = {field.name: _form_field(field, models) for field in shown}
    headings = {field.name: field.metadata["advanced"] for field in shown}
    return type("OptionsForm", (OptionsForm,), {**fields, "headings": headings})


def _form_field(field: dataclasses.Field[Any], models: Mapping[str, list[tuple[str, str]]]) -> forms.Field:
    kind, meta = _kind(field), field.metadata
    common: dict[str, Any] = {
        "required": _required(field),
        "help_text": _page_help(field, models),
        "initial": None if _required(field) else field.default,
        "label": gettext_lazy(label_of(field.name)),
    }
    if kind is bool:
        return forms.BooleanField(**{**common, "required": False})
    if named := meta["choices"] or meta["on_pages"] or meta["of_model"]:
        choices = models.get(named, []) if isinstance(named, str) else [(c, spoken(c)) for c in named]
        if meta["several"]:
            return SeveralField(choices=choices, **common)
        # A browser holds a list to be filled in only where its first choice is empty.
        if meta["of_model"] or _required(field):
            choices = [("", "–"), *choices]
        return forms.ChoiceField(choices=choices, **common)
    if kind in (int, float):
        number = forms.IntegerField if kind is int else forms.FloatField
        return number(min_value=meta["minimum"], max_value=meta["maximum"], **common)
    return forms.CharField(**common)
