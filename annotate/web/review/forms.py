from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.models.choices import Purpose
from annotate.models.gold import KnownAnswer
from annotate.web.rating.forms import PREFERENCES, AnswerForm


class KnownAnswerForm(forms.Form):
    """What an expert's answer is for."""

    purpose = forms.ChoiceField(
        label=_("Use this task"), choices=[choice for choice in Purpose.choices if choice[0] != Purpose.COLLECT]
    )
    explanation = forms.CharField(
        label=_("Why this is right"),
        required=False,
        max_length=4000,
        widget=forms.Textarea({"rows": 3, "dir": "auto"}),
        help_text=_("Shown after practice. Markdown works."),
    )


class PartialAnswerForm(AnswerForm):
    """What an expert says for a known answer: any part of it may stay open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.required = False

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        places = [data.get(f"place_{position}") for position in range(self.k)] if self.k > 2 else []
        if any(places) and not all(places):
            self.add_error(None, _("Give every response a place."))
        for criterion in self.criteria:
            scores = self._scores(criterion.key)
            if None in scores and any(score is not None for score in scores):
                self.add_error(None, _("Score “%(name)s” for every response.") % {"name": criterion.name})
        return data

    def known(self) -> dict[str, Any]:
        """Return ranks, scores and label of the valid form, as set_known_answer takes them."""
        data = self.cleaned_data
        ranks: Any = None
        if self.k == 2 and data["preference"]:
            ranks = PREFERENCES[data["preference"]][0]
        elif self.k > 2 and data["place_0"]:
            ranks = [data[f"place_{position}"] for position in range(self.k)]
        scores = {criterion.key: self._scores(criterion.key) for criterion in self.criteria}
        given = {key: values for key, values in scores.items() if None not in values}
        return {"ranks": ranks, "scores": given, "label": data.get("label", "")}

    def _scores(self, key: str) -> list[float | None]:
        """One score for each response; None where there is none."""
        values = [self.cleaned_data.get(f"score_{position}_{key}") for position in range(self.k)]
        return [None if value in (None, "") else float(value) for value in values]

    def fields_of_known(self, known: KnownAnswer) -> dict[str, Any]:
        """Return the form's values that say what a known answer says, its responses in the order of their places."""
        fields: dict[str, Any] = {"label": known.label}
        if known.ranks and self.k == 2:
            # The strength is no part of a known answer: the weakest choice of the same order stands for it.
            offered = [value for value, _label in self.fields["preference"].choices]  # type: ignore[attr-defined]
            same = [value for value in offered if PREFERENCES[value][0] == tuple(known.ranks)]
            fields["preference"] = min(same, key=lambda value: PREFERENCES[value][1] or 0, default="")
        for position in range(self.k):
            if known.ranks and self.k > 2:
                fields[f"place_{position}"] = known.ranks[position]
            for key, values in known.scores.items():
                fields[f"score_{position}_{key}"] = f"{values[position]:.12g}"
        return fields


class KnownAnswersFileForm(forms.Form):
    file = forms.FileField(
        label=_("File"),
        help_text=_(
            "CSV or JSON lines with task_id or prompt_id, and response_id and rank for each response or a label for "
            "the task; where needed purpose (gold, quiz, practice, example) and explanation."
        ),
    )
