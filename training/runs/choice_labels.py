"""Labels of the choices of options; names of methods are not translated."""

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


def choice_label(choice: Any) -> Any:
    """Return a choice in the current language, followed by its name in help texts and commands."""
    word = str(CHOICES.get(choice, choice)) if isinstance(choice, str) else choice
    return word if word == choice else f"{word} ({choice})"
