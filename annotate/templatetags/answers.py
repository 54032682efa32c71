"""A judgement in words."""

from collections.abc import Sequence

from django import template
from django.utils.translation import gettext as _

from annotate.models.gold import KnownAnswer
from annotate.models.judgements import Judgement
from annotate.web.rating.forms import PREFERENCE_LABELS, fields_of, letter

register = template.Library()


@register.filter
def order(answer: Judgement | KnownAnswer) -> str:
    """The order that an answer gives: "A > B = C"; for scores alone, the scores; before them its label."""
    label = [answer.label] if answer.label else []
    return "; ".join([*label, _order(answer.ranks)] if answer.ranks else [*label, *_scores(answer)])


@register.filter
def answer(judgement: Judgement) -> str:
    """What the rater said: "A is clearly better", "A > B = C", "Clear 4"."""
    parts = [judgement.label] if judgement.label else []
    if judgement.ranks and len(judgement.ranks) == 2:
        chosen = fields_of(judgement)["preference"]
        parts.append(str(PREFERENCE_LABELS.get(chosen, _order(judgement.ranks))))
    elif judgement.ranks:
        parts.append(_order(judgement.ranks))
    parts += _scores(judgement)
    if judgement.comment:
        parts.append(_("with a comment"))
    return "; ".join(parts)


def _order(ranks: Sequence[int]) -> str:
    places = sorted(set(ranks))
    groups = ([letter(i) for i, rank in enumerate(ranks) if rank == place] for place in places)
    return " > ".join(" = ".join(group) for group in groups)


def _scores(answer: Judgement | KnownAnswer) -> list[str]:
    return [f"{key} " + ", ".join(f"{value:g}" for value in values) for key, values in answer.scores.items()]
