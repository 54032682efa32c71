"""The form on pages of figures that chooses the judgements they count."""

from django import forms
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _

from annotate.analytics.selection import default_selection
from annotate.models.selection import PARTS, JudgementSelection, Who
from annotate.models.studies import Study


class JudgementSelectionForm(forms.Form):
    who = forms.ChoiceField(label=_("Judgements of"), choices=Who.choices, required=False)
    answers = forms.ChoiceField(label=_("Kind of answer"), choices=PARTS, required=False)

    def judgements(self, default: JudgementSelection) -> JudgementSelection:
        """Return what a valid form asks for; `default` where it says nothing."""
        data = self.cleaned_data
        return JudgementSelection(who=data.get("who") or default.who, part=data.get("answers") or default.part)


def requested_selection(
    request: HttpRequest, study: Study, *, default: JudgementSelection | None = None
) -> JudgementSelection:
    """Return the judgements that the address asks for, `?who=people&answers=vote`; the study's usual ones without.

    Raises Http404 for values that do not exist.
    """
    form = JudgementSelectionForm(request.GET)
    if not form.is_valid():
        raise Http404
    return form.judgements(default or default_selection(study))
