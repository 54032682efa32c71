"""Options of a job, declared once as dataclass fields, from which flags, forms and validation are derived."""

import argparse
import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from django import forms
from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from core.errors import PalateError
from training.runs.choice_labels import choice_label

C = TypeVar("C")
StrOrPromise = str | Promise  # a text that may be marked for translation
# The values that a command accepts for a model; pages list models instead.
MODEL_VALUES = {"policy": "a model version, a folder or a hub name", "preference": "a model version or a folder"}


def option(
    default: Any = dataclasses.MISSING,
    *,
    label: StrOrPromise,
    help: StrOrPromise,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    of_model: str = "",
    several: bool = False,
    advanced: StrOrPromise = "",
    commands_only: bool = False,
    on_pages: tuple[str, ...] = (),
    for_commands: str = "",
    setting: str = "",
) -> Any:
    """Declare a field of a job's options. Without a default it is required.

    label: the option's name on pages. of_model: "policy" or "preference" when the value is a model, or with `several` a
    comma-separated list of models; the accepted values are added to the help. advanced: the heading under which pages
    fold the option. commands_only: the value refers to something on this machine (a file, a function), so that only a
    user with a shell may set it; `output` is such an option in every job. on_pages: the choices of pages and the API,
    while a command accepts any value, described by for_commands. setting: pages show the option only if this setting is
    not empty. label, help and advanced are translated on pages, so they are marked with gettext_lazy.
    """
    meta = {
        "label": label,
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
    label=gettext_lazy("Numerical precision"),
    help=gettext_lazy("numbers of the model's linear layers while it scores; int8 is faster on processors and rounds"),
    choices=("float32", "int8"),
    advanced=gettext_lazy("Speed and memory"),
)
REPORT_TO: str = option(
    "none",
    label=gettext_lazy("Report metrics to"),
    help=gettext_lazy("send the metrics to a tracker, too"),
    choices=("none", "tensorboard", "wandb", "trackio"),
    advanced=gettext_lazy("Report"),
)


def _kind(field: dataclasses.Field[Any]) -> type:
    """The plain type of a field; `int | None` counts as int."""
    text = str(field.type).replace("| None", "").strip()
    return {"int": int, "float": float, "str": str, "bool": bool}[getattr(field.type, "__name__", text)]


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def labels_of(options: type) -> dict[str, str]:
    """Return the labels of the options by name, in the current language."""
    return {field.name: str(field.metadata["label"]) for field in dataclasses.fields(options)}


def with_choices(options: type) -> set[str]:
    """Return the names of the options with a fixed set of values."""
    fields = dataclasses.fields(options)
    return {field.name for field in fields if field.metadata["choices"] or field.metadata["on_pages"]}


def on_a_page(message: str, options: type) -> str:
    """Replace the flags in a message of a job with the options' labels."""
    for name, label in sorted(labels_of(options).items(), key=lambda row: -len(row[0])):
        message = re.sub(rf"{flag_of(name)}(?![a-z0-9-])", f"“{label}”", message)
    return message


def in_english(text: StrOrPromise) -> str:
    """Return a translatable text in English, the language of the commands."""
    with translation.override("en"):
        return str(text)


def add_arguments(parser: argparse.ArgumentParser, options: type, *, positional: str = "") -> None:
    """Add one flag per option to the parser, with its help and default; `positional` has no flag."""
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
        default = "" if _required(field) or field.default in ("", None) else f" (default: {field.default})"
        parser.add_argument(
            flag_of(field.name),
            required=_required(field),
            default=None if _required(field) else field.default,
            choices=field.metadata["choices"] or None,
            metavar=None if field.metadata["choices"] else field.name.upper(),
            help=help_text + default,
        )


def _command_help(field: dataclasses.Field[Any]) -> str:
    meta = field.metadata
    text = "; ".join(filter(None, (in_english(meta["help"]), meta["for_commands"])))
    values = MODEL_VALUES.get(meta["of_model"])
    if not values:
        return text
    return f"{text} ({values}; several separated by commas)" if meta["several"] else f"{text} ({values})"


def _page_help(field: dataclasses.Field[Any], options: type, models: Mapping[str, list[tuple[str, str]]]) -> str:
    text, of_model = on_a_page(str(field.metadata["help"]), options), field.metadata["of_model"]
    if not of_model:
        return text
    if not models.get(of_model):
        return gettext("%(help)s. There is none yet.") % {"help": text}
    return gettext("%(help)s. Listed: this study's models and those that all studies share.") % {"help": text}


def parse(options: type[C], values: Mapping[str, Any]) -> C:
    """Parse the options from raw values (flags, form fields, a Run's config).

    Raises PalateError that names the flag, the value and what is expected.
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
    """Raise PalateError when the values set an option that only a command may set."""
    for field in dataclasses.fields(options):
        allowed = field.metadata["on_pages"]
        if not (_commands_only(field) or allowed) or values.get(field.name) in (None, "", field.default, *allowed):
            continue
        other = f"; elsewhere it must be one of {', '.join(allowed)}" if allowed else ""
        raise PalateError(
            f"{flag_of(field.name)} refers to something on the server; only a command there can set it{other}"
        )


def _absent(field: dataclasses.Field[Any]) -> Any:
    return None if _required(field) else field.default


def _value(field: dataclasses.Field[Any], raw: Any) -> Any:
    flag, kind, meta = flag_of(field.name), _kind(field), field.metadata
    if raw is None or raw == "":
        if _required(field):
            raise PalateError(f"{flag} is needed: {in_english(meta['help'])}")
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
    """Several choices, cleaned to a comma-separated list, which the API accepts as well."""

    def to_python(self, value: Any) -> list[str]:
        return super().to_python(
            [part.strip() for part in value.split(",")] if value and isinstance(value, str) else value
        )

    def clean(self, value: Any) -> str:
        return ",".join(super().clean(value))


class OptionsForm(forms.Form):
    """Options of a job; `headings` maps a field to the heading under which a page folds it."""

    headings: Mapping[str, StrOrPromise] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def asks(self) -> bool:
        """Return whether any field is required."""
        return any(field.required for field in self.fields.values())

    def plain(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if not self.headings.get(name)]

    def folded(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """Return (heading, its fields, whether any of them has errors), in the order of the options."""
        sections: dict[str, list[forms.BoundField]] = {}
        for name in self.fields:
            if heading := self.headings.get(name):
                sections.setdefault(str(heading), []).append(self[name])
        return [(heading, fields, any(f.errors for f in fields)) for heading, fields in sections.items()]


def form_of(options: type, *, models: Mapping[str, list[tuple[str, str]]]) -> type[OptionsForm]:
    """Return a form class with one field per option. `models`: the choices of options that name a model."""
    shown = [field for field in dataclasses.fields(options) if not _commands_only(field) and _can_be_set(field)]
    fields = {field.name: _form_field(field, options, models) for field in shown}
    headings = {field.name: field.metadata["advanced"] for field in shown}
    return type("OptionsForm", (OptionsForm,), {**fields, "headings": headings})


def _form_field(
    field: dataclasses.Field[Any], options: type, models: Mapping[str, list[tuple[str, str]]]
) -> forms.Field:
    kind, meta = _kind(field), field.metadata
    common: dict[str, Any] = {
        "required": _required(field),
        "help_text": _page_help(field, options, models),
        "initial": None if _required(field) else field.default,
        "label": field.metadata["label"],
    }
    if kind is bool:
        return forms.BooleanField(**{**common, "required": False})
    if source := meta["choices"] or meta["on_pages"] or meta["of_model"]:
        choices = models.get(source, []) if isinstance(source, str) else [(c, choice_label(c)) for c in source]
        if meta["several"]:
            return SeveralField(choices=choices, **common)
        # A browser treats a list as not filled in only where its first choice is empty.
        if meta["of_model"] or _required(field):
            choices = [("", "–"), *choices]
        return forms.ChoiceField(choices=choices, **common)
    if kind in (int, float):
        number = forms.IntegerField if kind is int else forms.FloatField
        return number(min_value=meta["minimum"], max_value=meta["maximum"], **common)
    return forms.CharField(**common)
