from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.tasks.models import Purpose


class KnownAnswerForm(forms.Form):
    """What an expert's answer is for, beside the answer itself."""

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
