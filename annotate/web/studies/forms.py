"""The forms of the study pages."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms import BaseFormSet, BoundField, formset_factory
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from annotate.collection.opening import MAX_RATERS
from annotate.models.studies import MAX_CRITERIA, MAX_SCORE, Criterion, Method, Study
from annotate.studies.operations import CHANGEABLE
from annotate.studies.templates import StudyTemplate


class StudyForm(forms.ModelForm):
    class Meta:
        model = Study
        fields = [
            *("name", "slug", "description", "method", "rank_size", "replication"),
            *("text_format", "allow_ties", "use_strength", "instructions"),
            *("side_by_side", "show_reference", "label_question", "labels", "ask_confidence", "ask_rewrite"),
        ]
        widgets = {"description": forms.Textarea(attrs={"rows": 2}), "instructions": forms.Textarea(attrs={"rows": 8})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["slug"].help_text = _("Letters, digits and hyphens; used in addresses and commands.")
        self.fields["instructions"].help_text = _("Raters read them before their first task. Markdown works.")


GROUPS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (_("The study"), ("name", "description")),
    (_("Instructions"), ("instructions", "require_reading", "quiz_minimum")),
    (
        _("What raters see"),
        (
            *("text_format", "side_by_side", "show_reference", "allow_ties", "use_strength", "show_diff", "blind"),
            *("blur", "content_warning", "show_agreement", "break_minutes"),
        ),
    ),
    (_("Further questions"), ("label_question", "labels", "ask_confidence", "ask_rewrite")),
    (_("Handing out"), ("replication", "rank_size", "lease_minutes", "rater_cap")),
    (_("Checks"), ("repeat_share", "gold_share", "gold_minimum", "gold_rule", "skip_share", "flag_share")),
    (_("Privacy"), ("consent", "flag_personal_data", "retention_days")),
)


class StudySettingsForm(forms.ModelForm):
    class Meta:
        model = Study
        # Pausing has a button of its own: a form that was opened before must not resume the study.
        fields = [name for name in CHANGEABLE if name != "active"]
        widgets = {
            "description": forms.Textarea(attrs={"rows": 2}),
            "instructions": forms.Textarea(attrs={"rows": 8}),
            "consent": forms.Textarea(attrs={"rows": 4}),
        }
        help_texts = {
            "replication": _("Counts for tasks that are made from now on."),
            "rank_size": _("Counts for responses that are generated from now on."),
            "gold_share": _("Between the other tasks. They are made on the page Review."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("repeat_share", "gold_share", "gold_minimum", "quiz_minimum", "skip_share", "flag_share"):
            self.fields[name].widget.attrs["step"] = "0.01"

    def groups(self) -> Iterator[tuple[Any, list[BoundField]]]:
        """Title and fields of each part of the page."""
        return ((title, [self[name] for name in names]) for title, names in GROUPS)


class StudyDraftForm(StudyForm):
    """The part of a new study's form that shapes the rating screen: its name may still be missing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["slug"]
        self.fields["name"].required = False


class OpenImportedForm(forms.Form):
    raters = forms.IntegerField(
        label=_("Raters per task, besides those who were imported"), min_value=1, max_value=MAX_RATERS, initial=1
    )


class CriterionForm(forms.Form):
    """One scale; an empty name leaves it out."""

    name = forms.CharField(label=_("Name"), max_length=100, required=False)
    description = forms.CharField(label=_("Question to the rater"), max_length=300, required=False)
    minimum = forms.FloatField(label=_("Lowest score"), initial=1, min_value=-MAX_SCORE, max_value=MAX_SCORE)
    maximum = forms.FloatField(label=_("Highest score"), initial=5, min_value=-MAX_SCORE, max_value=MAX_SCORE)
    lowest = forms.CharField(label=_("Word for the lowest"), max_length=40, required=False)
    highest = forms.CharField(label=_("Word for the highest"), max_length=40, required=False)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if "minimum" in data and "maximum" in data and data["minimum"] >= data["maximum"]:
            self.add_error("maximum", _("The highest score must be above the lowest."))
        return data

    def criterion(self) -> dict[str, Any] | None:
        """The fields of create_study's criteria; None for a row without a name."""
        data = self.cleaned_data
        if not data.get("name"):
            return None
        ends = ((data["minimum"], data["lowest"]), (data["maximum"], data["highest"]))
        return {
            "key": slugify(data["name"], allow_unicode=False)[:50] or f"criterion-{self.prefix}",
            "name": data["name"],
            "description": data["description"],
            "minimum": data["minimum"],
            "maximum": data["maximum"],
            "labels": {f"{score:g}": words for score, words in ends if words},
        }


CriterionFormSet: type[BaseFormSet] = formset_factory(
    CriterionForm, extra=3, max_num=MAX_CRITERIA, absolute_max=MAX_CRITERIA + 1, validate_max=True
)


class NewStudyForm:
    """The form of a new study with its criteria, valid or with errors that stand at their fields."""

    study_form: type[StudyForm] = StudyForm

    def __init__(self, data: Any = None, template: StudyTemplate | None = None) -> None:
        self.study = self.study_form(data, initial=_study_initial(template))
        self.criteria = CriterionFormSet(data, initial=_criteria_initial(template), prefix="criteria")

    def is_valid(self) -> bool:
        return self.study.is_valid() and self.criteria.is_valid()

    def fields(self) -> dict[str, Any]:
        """The arguments of create_study."""
        return {**self.study.cleaned_data, "criteria": self.scales()}

    def scales(self) -> list[dict[str, Any]]:
        """The criteria of the valid form."""
        return [scale for form in self.criteria if (scale := form.criterion())]


class StudyDraft(NewStudyForm):
    """A new study that is being filled in, for its preview."""

    study_form = StudyDraftForm

    def unsaved(self) -> tuple[Study, list[Criterion]]:
        """The study and the criteria of the valid form, not stored."""
        return self.study.instance, [Criterion(**scale) for scale in self.scales()]

    def problems(self) -> list[str]:
        """The errors of the invalid form, each with the label of its field."""
        forms_with_errors = [self.study, *self.criteria]
        return [*map(str, self.criteria.non_form_errors()), *(p for form in forms_with_errors for p in problems(form))]


def problems(form: forms.BaseForm) -> list[str]:
    """The errors of a form as sentences, each with the label of its field."""
    return [
        f"{form[name].label}: {error}" if name in form.fields else str(error)
        for name, errors in form.errors.items()
        for error in errors
    ]


def _study_initial(template: StudyTemplate | None) -> dict[str, Any]:
    if template is None:
        return {"method": Method.COMPARE, "replication": 3}
    return {
        "name": template.name,
        "slug": template.key,
        "description": template.summary,
        "method": template.method,
        "instructions": template.instructions,
        **template.settings,
        "labels": ",".join(map(str, template.settings.get("labels", ()))),
    }


def _criteria_initial(template: StudyTemplate | None) -> list[dict[str, Any]]:
    rows = []
    for scale in template.criteria if template else ():
        low, high = scale.get("minimum", 1), scale.get("maximum", 5)
        labels = scale.get("labels", {})
        ends = {"lowest": labels.get(f"{low:g}", ""), "highest": labels.get(f"{high:g}", "")}
        labels = {"name": scale["name"], "description": scale.get("description", "")}
        rows.append({**labels, "minimum": low, "maximum": high, **ends})
    return rows
