"""The forms of the study pages."""

from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from annotate.members.models import Role
from annotate.studies.models import Method, Study
from annotate.studies.operations import CHANGEABLE


class StudyForm(forms.ModelForm):
    class Meta:
        model = Study
        fields = ["name", "slug", "method", "replication", "description", "instructions"]
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["slug"].help_text = _("Letters, digits and hyphens; used in addresses and commands.")


class StudySettingsForm(forms.ModelForm):
    class Meta:
        model = Study
        fields = list(CHANGEABLE)
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}
        help_texts = {"replication": _("Counts for tasks that are made from now on.")}


class CriterionForm(forms.Form):
    """One scale; an empty name leaves it out."""

    name = forms.CharField(label=_("Name"), max_length=100, required=False)
    description = forms.CharField(label=_("Question to the rater"), max_length=300, required=False)
    minimum = forms.FloatField(label=_("Lowest score"), initial=1)
    maximum = forms.FloatField(label=_("Highest score"), initial=5)
    lowest = forms.CharField(label=_("Word for the lowest"), max_length=40, required=False)
    highest = forms.CharField(label=_("Word for the highest"), max_length=40, required=False)

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


CriterionFormSet: type[BaseFormSet] = formset_factory(CriterionForm, extra=3)


class NewStudyForm:
    """The form of a new study with its criteria, valid or with errors that stand at their fields."""

    def __init__(self, data: Any = None) -> None:
        self.study = StudyForm(data, initial={"method": Method.COMPARE, "replication": 3})
        self.criteria = CriterionFormSet(data, prefix="criteria")

    def is_valid(self) -> bool:
        return self.study.is_valid() and self.criteria.is_valid()

    def fields(self) -> dict[str, Any]:
        """The arguments of create_study."""
        criteria = [form.criterion() for form in self.criteria]
        return {**self.study.cleaned_data, "criteria": [c for c in criteria if c]}


class MemberForm(forms.Form):
    username = forms.CharField(label=_("Account name"), max_length=150)
    role = forms.ChoiceField(
        label=_("Role"), choices=[(Role.RATER, Role.RATER.label), (Role.MANAGER, Role.MANAGER.label)]
    )
    password = forms.CharField(
        label=_("First password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Only to make a new account."),
    )
