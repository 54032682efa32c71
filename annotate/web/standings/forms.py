from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.analytics.ranking.controls import CONTROLS
from annotate.analytics.ranking.votes_of_study import PREFERENCE, Selection, usual_criterion
from annotate.analytics.selection import default_selection
from annotate.models.studies import Study
from annotate.web.selection_form import JudgementSelectionForm

MODELS = [
    ("davidson", _("Davidson (ties have a share of their own)")),
    ("bradley-terry", _("Bradley–Terry (a tie is half a win each)")),
    ("plackett-luce", _("Plackett–Luce (whole rankings)")),
]
WORDS = {"length": _("length"), "style": _("lists, headings, bold"), "position": _("place on the screen")}
# More prompts than this are not offered one by one.
MAX_PROMPTS = 200


class SelectionForm(JudgementSelectionForm):
    """What is ranked, by what and how; every field may be left out."""

    criterion = forms.ChoiceField(label=_("By"), required=False)
    model = forms.ChoiceField(label=_("Model"), choices=MODELS, required=False)
    group = forms.ChoiceField(label=_("Prompts of the group"), required=False)
    prompt = forms.TypedChoiceField(
        label=_("Rank"), required=False, coerce=lambda value: int(value) if value else None, empty_value=None
    )
    controls = forms.MultipleChoiceField(
        label=_("Take out the pull of"),
        required=False,
        choices=[(name, WORDS[name]) for name in CONTROLS],
        widget=forms.CheckboxSelectMultiple,
    )
    weights = forms.ChoiceField(
        label=_("Votes count"),
        required=False,
        choices=[("", _("all the same")), ("reliability", _("as far as the rater is reliable"))],
    )
    interval = forms.ChoiceField(
        label=_("Intervals"),
        required=False,
        choices=[("sandwich", _("sandwich, by task")), ("bootstrap", _("bootstrap, by task (slower)"))],
    )

    def __init__(self, *args: Any, study: Study, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.study = study
        # The switch at the head of the page chooses them; the form keeps what was chosen.
        self.fields["who"].widget = self.fields["answers"].widget = forms.HiddenInput()
        groups = study.prompts.exclude(group="").order_by("group").values_list("group", flat=True).distinct()
        prompts = study.prompts.order_by("pk").values_list("pk", "text")[: MAX_PROMPTS + 1]
        criteria = [(PREFERENCE, _("preference")), *((c.key, c.name) for c in study.criteria.all())]
        usual = usual_criterion(study)
        choices: dict[str, list[tuple[str, Any]]] = {
            "criterion": sorted(criteria, key=lambda choice: choice[0] != usual),
            "group": [("", _("all groups")), *((group, group) for group in groups[:MAX_PROMPTS])],
            "prompt": [
                ("", _("the authors")),
                *((str(pk), _("responses to: %(text)s") % {"text": text[:60]}) for pk, text in prompts),
            ],
        }
        for name, of in choices.items():
            self.fields[name].choices = of  # type: ignore[attr-defined]
        if not groups:
            del self.fields["group"]

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("model") == "plackett-luce" and (data.get("controls") or data.get("interval") == "bootstrap"):
            self.add_error(
                "model", _("Whole rankings know neither controls nor the bootstrap: choose a model of pairs.")
            )
        return data

    def selection(self) -> Selection:
        """What was chosen; Selection's own defaults stand for what was not."""
        data = self.cleaned_data
        return Selection(
            judgements=self.judgements(default_selection(self.study)),
            criterion=data["criterion"] or usual_criterion(self.study),
            model=data["model"] or MODELS[0][0],
            controls=tuple(data["controls"]),
            group=data.get("group", ""),
            prompt=data["prompt"],
            reliability=data["weights"] == "reliability",
            bootstrap=data["interval"] == "bootstrap",
        )
