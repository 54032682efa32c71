"""The form of an export: a page, a link and the API fill in the same fields."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.exchange.exporters.policy import Policy
from annotate.exchange.exporters.trl_formats import Style

FORMAT_CHOICES = [
    ("pairs", _("Preference pairs with votes")),
    ("raw", _("All judgements, raw")),
    ("rankings", _("Rankings")),
    ("scores", _("Scores")),
    ("labels", _("Labels")),
    ("feedback", _("Skipped tasks, flags and comments")),
    ("preference", _("Training data: preference")),
    ("unpaired", _("Training data: unpaired")),
    ("prompts", _("Training data: prompts only")),
]
FILE_TYPE_CHOICES = [
    ("csv", _("CSV")),
    ("jsonl", _("JSON lines")),
    ("parquet", _("Parquet")),
    ("zip", _("datasets folder, zipped")),
]
SPLIT_CHOICES = [("all", _("all")), ("train", _("train")), ("validation", _("validation")), ("test", _("test"))]


class ExportForm(forms.Form):
    """Every field has a default, so that a bare address exports too."""

    format = forms.ChoiceField(label=_("What"), choices=FORMAT_CHOICES)
    file_type = forms.ChoiceField(label=_("File"), choices=FILE_TYPE_CHOICES)
    split = forms.ChoiceField(
        label=_("Prompts of the split"),
        choices=SPLIT_CHOICES,
        required=False,
        help_text=_("A datasets folder has all three."),
    )
    ties = forms.ChoiceField(
        label=_("Pairs without a winner"),
        choices=[("drop", _("leave out")), ("keep", _("keep, with margin 0"))],
        required=False,
    )
    unacceptable = forms.ChoiceField(
        label=_("Votes between two unacceptable"),
        choices=[("drop", _("do not count")), ("keep", _("count"))],
        required=False,
    )
    raters = forms.ChoiceField(
        label=_("Raters"), choices=[("all", _("all")), ("people", _("without simulated raters"))], required=False
    )
    tasks = forms.ChoiceField(
        label=_("Tasks"), choices=[("all", _("all")), ("random", _("only those drawn at random"))], required=False
    )
    min_agreement = forms.FloatField(
        label=_("Least share of the votes for the winner"), min_value=0, max_value=1, required=False, initial=0
    )
    min_raters = forms.IntegerField(label=_("Least number of raters a pair"), min_value=1, required=False, initial=1)
    texts = forms.ChoiceField(
        label=_("Texts of training data"),
        choices=[("plain", _("plain")), ("conversational", _("conversational: messages with roles"))],
        required=False,
    )
    prompt = forms.ChoiceField(
        label=_("Prompt of training data"),
        choices=[("explicit", _("in a column of its own")), ("implicit", _("within both responses"))],
        required=False,
    )

    def policy(self) -> Policy:
        return Policy(**self._given("ties", "unacceptable", "raters", "tasks", "min_agreement", "min_raters"))

    def style(self) -> Style:
        return Style(**self._given("texts", "prompt"))

    def split_asked(self) -> str:
        return self.cleaned_data["split"] or "all"

    def _given(self, *names: str) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in names if self.cleaned_data[name] not in (None, "")}
