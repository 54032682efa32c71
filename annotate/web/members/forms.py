"""The forms of the members page and of an invitation."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.models.choices import Role
from annotate.models.members import MAX_USES


class MemberForm(forms.Form):
    username = forms.CharField(label=_("Account name"), max_length=150)
    role = forms.ChoiceField(
        label=_("Role"), choices=[(role, role.label) for role in (Role.RATER, Role.MANAGER, Role.AUDITOR)]
    )
    password = forms.CharField(
        label=_("First password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Only to make a new account."),
    )


class TagsField(forms.CharField):
    """Words with commas between them, as a list."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "max_length": 500, "label": _("Tags"), **kwargs})

    def clean(self, value: Any) -> list[str]:
        tags = [tag.strip() for tag in super().clean(value).split(",")]
        if too_long := next((tag for tag in tags if len(tag) > 50), None):
            raise forms.ValidationError(
                _("A tag may have at most 50 characters: “%(tag)s …”."), params={"tag": too_long[:50]}
            )
        return list(dict.fromkeys(tag for tag in tags if tag))


class TagsForm(forms.Form):
    tags = TagsField()


class InviteForm(forms.Form):
    days = forms.IntegerField(label=_("Valid for (days)"), min_value=1, max_value=365, initial=14)
    max_uses = forms.IntegerField(
        label=_("People who may join"), min_value=1, max_value=MAX_USES, initial=100, required=False
    )
    hourly_uses = forms.IntegerField(
        label=_("Of them within an hour"), min_value=1, max_value=MAX_USES, initial=30, required=False
    )
    tags = TagsField(
        label=_("Tags of those who join"),
        help_text=_("Languages, groups or qualifications with commas between them, such as: de, medicine."),
    )


class JoinForm(forms.Form):
    """An account for somebody who follows an invitation."""

    username = forms.CharField(
        label=_("Choose a name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        label=_("Choose a password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 8 characters, and nothing that others would guess."),
    )
