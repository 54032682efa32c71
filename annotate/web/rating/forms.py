"""The forms of the rating screen. Field names carry the place on the screen, never the id of a response."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from annotate.collection.feedback import SKIP_REASONS
from annotate.collection.judgements import MAX_COMMENT, MAX_REWRITE, Answer
from annotate.models.judgements import Confidence, Judgement
from annotate.models.review import FlagKind
from annotate.models.studies import Criterion, Study

# Longer scales than this get a number input and a slider in place of one button a step.
MAX_BUTTONS = 11

# The steps of a comparison, and the way out: value -> (ranks, strength, both unacceptable).
PREFERENCES: dict[str, tuple[tuple[int, int], int | None, bool]] = {
    "a": ((1, 2), None, False),
    "a3": ((1, 2), 3, False),
    "a2": ((1, 2), 2, False),
    "a1": ((1, 2), 1, False),
    "tie": ((1, 1), None, False),
    "b": ((2, 1), None, False),
    "b1": ((2, 1), 1, False),
    "b2": ((2, 1), 2, False),
    "b3": ((2, 1), 3, False),
    "bad": ((1, 1), None, True),
}
PREFERENCE_LABELS = {
    "a": _("A is better"),
    "a3": _("A is much better"),
    "a2": _("A is clearly better"),
    "a1": _("A is slightly better"),
    "tie": _("Equally good"),
    "b1": _("B is slightly better"),
    "b2": _("B is clearly better"),
    "b3": _("B is much better"),
    "b": _("B is better"),
    "bad": _("Both are unacceptable"),
}
# What stands on the small buttons of a phone, beside the full words for screen readers.
SHORT_LABELS = {"a": "A", "a3": "A++", "a2": "A+", "a1": "A", "tie": "=", "b1": "B", "b2": "B+", "b3": "B++", "b": "B"}


def letter(position: int) -> str:
    """The name of the response at this place on the screen: A, B, … Z, then 27, 28, …"""
    return string.ascii_uppercase[position] if position < 26 else str(position + 1)


@dataclass(frozen=True)
class Panel:
    """One response on the screen, with the fields that ask about it."""

    letter: str
    text: str
    author: str
    scores: Sequence[tuple[Criterion, forms.BoundField]]
    place: forms.BoundField | None
    unacceptable: forms.BoundField | None


class AnswerForm(forms.Form):
    """What a rater says about the K responses shown: the fields follow K, the study's settings and criteria.

    criteria: given for a study that is not stored yet.
    """

    comment = forms.CharField(
        label=_("Comment"), required=False, max_length=MAX_COMMENT, widget=forms.Textarea({"rows": 4, "dir": "auto"})
    )
    seconds = forms.FloatField(required=False, min_value=0, widget=forms.HiddenInput)
    # Filled in by the browser: what the rater works with, and the key under which this answer is sent.
    device = forms.CharField(required=False, max_length=10, widget=forms.HiddenInput)
    submission = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, k: int, study: Study, criteria: Sequence[Criterion] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.k, self.criteria = k, list(study.criteria.all()) if criteria is None else criteria
        if study.labels:
            self.fields["label"] = _label_field(study)
            if study.ask_confidence:
                self.fields["confidence"] = _confidence_field()
        if study.ask_rewrite:
            self.fields["rewrite"] = _rewrite_field(k)
        if k == 2:
            self.fields["preference"] = _preference_field(study)
        for position in range(k):
            if k > 2:
                self.fields[f"place_{position}"] = _place_field(k, letter(position))
                self.fields[f"unacceptable_{position}"] = forms.BooleanField(label=_("Unacceptable"), required=False)
            for criterion in self.criteria:
                self.fields[f"score_{position}_{criterion.key}"] = _score_field(criterion)

    def panels(self, texts: Sequence[str], authors: Sequence[str] = ()) -> list[Panel]:
        """The responses with their fields, for texts in the order shown; authors only where they may be seen."""
        if self.k == 1:
            # One response is rewritten where it stands; left as it is, nothing is better.
            self.initial.setdefault("rewrite", texts[0])
        return [
            Panel(
                letter=letter(position),
                text=text,
                author=authors[position] if authors else "",
                scores=[(criterion, self[f"score_{position}_{criterion.key}"]) for criterion in self.criteria],
                place=self[f"place_{position}"] if self.k > 2 else None,
                unacceptable=self[f"unacceptable_{position}"] if self.k > 2 else None,
            )
            for position, text in enumerate(texts)
        ]

    def problems(self) -> list[str]:
        """What is wrong, each sentence once: ten missing scores need no ten lines."""
        sentences = (str(error) for errors in self.errors.values() for error in errors)
        return list(dict.fromkeys(sentences))

    def answer(self, *, seconds: float | None) -> Answer:
        """The valid form's answer; `seconds` is used where the browser counted none."""
        data, places = self.cleaned_data, range(self.k)
        ranks: Sequence[int] | None = None
        strength, unacceptable = None, [False] * self.k
        if self.k == 2:
            ranks, strength, both = PREFERENCES[data["preference"]]
            unacceptable = [both, both]
        elif self.k > 2:
            ranks = [data[f"place_{position}"] for position in places]
            unacceptable = [data[f"unacceptable_{position}"] for position in places]
        return Answer(
            ranks=ranks,
            scores={c.key: [data[f"score_{position}_{c.key}"] for position in places] for c in self.criteria},
            strength=strength,
            unacceptable=unacceptable,
            label=data.get("label", ""),
            confidence=data.get("confidence"),
            rewrite=data.get("rewrite", ""),
            comment=data["comment"],
            seconds=seconds if data["seconds"] is None else data["seconds"],
            device=data["device"],
            submission=data["submission"],
        )


def fields_of(judgement: Judgement) -> dict[str, Any]:
    """The form's values that say what a judgement says."""
    fields: dict[str, Any] = {"comment": judgement.comment, "label": judgement.label}
    if judgement.confidence:
        fields["confidence"] = judgement.confidence
    for position in range(len(judgement.shown)):
        if judgement.ranks and len(judgement.ranks) > 2:
            fields[f"place_{position}"] = judgement.ranks[position]
            fields[f"unacceptable_{position}"] = judgement.unacceptable[position]
        for key, values in judgement.scores.items():
            fields[f"score_{position}_{key}"] = f"{values[position]:.12g}"
    if judgement.ranks and len(judgement.ranks) == 2:
        value_of_judgement = (tuple(judgement.ranks), judgement.strength, all(judgement.unacceptable))
        fields["preference"] = next((value for value, means in PREFERENCES.items() if means == value_of_judgement), "")
    return fields


def _label_field(study: Study) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=study.label_question or _("Which label is right?"),
        choices=[(label, label) for label in study.labels],
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose a label.")},
    )


def _confidence_field() -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label=_("How sure are you?"),
        choices=Confidence.choices,
        coerce=int,
        widget=forms.RadioSelect,
        error_messages={"required": _("Say how sure you are of the label.")},
    )


def _rewrite_field(k: int) -> forms.CharField:
    return forms.CharField(
        label=_("A better version"),
        required=False,
        max_length=MAX_REWRITE,
        strip=False,
        widget=forms.Textarea({"rows": 6, "dir": "auto"}),
        help_text=_("Change what you would change; left as it is, it says that nothing is better.")
        if k == 1
        else _("Of the response that you find best, if you can write one. Empty says that there is none."),
    )


def _preference_field(study: Study) -> forms.ChoiceField:
    values = [*(("a3", "a2", "a1") if study.use_strength else ("a",))]
    values += ["tie"] if study.allow_ties else []
    values += [*(("b1", "b2", "b3") if study.use_strength else ("b",)), "bad"]
    missing = _("Say which response is better, or that they are equal.")
    return forms.ChoiceField(
        label=_("Which response is better?"),
        choices=[(value, _step(value)) for value in values],
        widget=forms.RadioSelect,
        error_messages={"required": missing if study.allow_ties else _("Say which response is better.")},
    )


def _step(value: str) -> SafeString:
    words, short = PREFERENCE_LABELS[value], SHORT_LABELS.get(value)
    if short is None:
        return format_html("{}", words)
    return format_html('<span class="long">{}</span><span class="short" aria-hidden="true">{}</span>', words, short)


def _place_field(k: int, name: str) -> forms.TypedChoiceField:
    places = [(str(place), str(place)) for place in range(1, k + 1)]
    return forms.TypedChoiceField(
        label=_("Place of %(name)s") % {"name": name},
        choices=[("", "–"), *places],
        coerce=int,
        widget=forms.Select({"data-place": name}),
        error_messages={"required": _("Give every response a place.")},
    )


def _score_field(criterion: Criterion) -> forms.Field:
    missing = {"required": _("Score “%(name)s” for every response.") % {"name": criterion.name}}
    steps = int((criterion.maximum - criterion.minimum) / criterion.step + 1e-9) + 1
    if steps <= MAX_BUTTONS:
        values = [f"{criterion.minimum + step * criterion.step:.12g}" for step in range(steps)]
        return forms.TypedChoiceField(
            label=criterion.name,
            choices=[(value, _pill(value, criterion.labels)) for value in values],
            coerce=float,
            widget=forms.RadioSelect,
            error_messages=missing,
        )
    return forms.FloatField(
        label=criterion.name,
        min_value=criterion.minimum,
        max_value=criterion.maximum,
        widget=forms.NumberInput({"step": f"{criterion.step:.12g}"}),
        error_messages=missing,
    )


def _pill(value: str, labels: Mapping[str, str]) -> SafeString:
    return format_html("<b>{}</b> <small>{}</small>", value, labels.get(value, ""))


class SkipForm(forms.Form):
    """Why a rater will not judge a task: a common reason, words of one's own, or both; or what is wrong with it."""

    reason = forms.ChoiceField(
        label=_("Reason"),
        required=False,
        choices=[
            ("", _("Choose …")),
            (_("Not for me"), list(SKIP_REASONS.items())),
            (_("Something is wrong with the task: report it"), FlagKind.choices),
        ],
    )
    details = forms.CharField(
        label=_("In your words"), required=False, max_length=400, widget=forms.Textarea({"rows": 2, "dir": "auto"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def sentence(self) -> str:
        """The valid form's reason as it is stored: the key of the common reason, then the rater's words."""
        reason, details = self.cleaned_data["reason"], self.cleaned_data["details"]
        if reason == "other":
            return details
        return ": ".join(part for part in (reason, details) if part)
