"""What pages call the choices of an option; names of methods, which are no words of a language, stay as they are."""

from typing import Any

from django.utils.translation import pgettext_lazy

from annotate.studies.templates import TEMPLATES

CHOICES = {
    "all": pgettext_lazy("choice", "all"),
    "train": pgettext_lazy("choice", "train"),
    "validation": pgettext_lazy("choice", "validation"),
    "test": pgettext_lazy("choice", "test"),
    "auto": pgettext_lazy("choice", "auto"),
    "none": pgettext_lazy("choice", "none"),
    "encoder": pgettext_lazy("choice", "encoder"),
    "causal": pgettext_lazy("choice", "causal"),
    "linear": pgettext_lazy("choice", "linear"),
    "half": pgettext_lazy("choice", "half"),
    "majority": pgettext_lazy("choice", "majority"),
    "squared": pgettext_lazy("choice", "squared"),
    "ordinal": pgettext_lazy("choice", "ordinal"),
    "copies": pgettext_lazy("choice", "copies"),
    "heads": pgettext_lazy("choice", "heads"),
    "plain": pgettext_lazy("choice", "plain"),
    "conditional": pgettext_lazy("choice", "conditional"),
    "filter": pgettext_lazy("choice", "filter"),
    "unlikelihood": pgettext_lazy("choice", "unlikelihood"),
    "joint": pgettext_lazy("choice", "joint"),
    "mean": pgettext_lazy("choice", "mean"),
    "worst": pgettext_lazy("choice", "worst"),
    "uncertainty": pgettext_lazy("choice", "uncertainty"),
    "disagreement": pgettext_lazy("choice", "disagreement"),
    "information": pgettext_lazy("choice", "information"),
    "random": pgettext_lazy("choice", "random"),
    "expert-iteration": pgettext_lazy("choice", "expert-iteration"),
    "demo": pgettext_lazy("choice", "demo"),
    "demo-zh": pgettext_lazy("choice", "demo in Chinese"),
    "study": pgettext_lazy("choice", "study"),
    **{f"demo:{template.key}{language}": template.name for template in TEMPLATES for language in ("", "-zh")},
}


def spoken(choice: Any) -> Any:
    """A choice in the language of the moment, followed by the name that help texts and commands have for it."""
    word = str(CHOICES.get(choice, choice)) if isinstance(choice, str) else choice
    return word if word == choice else f"{word} ({choice})"
