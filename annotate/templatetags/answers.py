"""A judgement in words."""

from django import template
from django.utils.translation import gettext as _

from annotate.judgements.models import Judgement
from annotate.tasks.forms import PREFERENCE_LABELS, fields_of, letter

register = template.Library()


@register.filter
def answer(judgement: Judgement) -> str:
    """What the rater said: "A is clearly better", "A > B = C", "Clear 4"."""
    parts = []
    if judgement.ranks and len(judgement.ranks) == 2:
        chosen = fields_of(judgement)["preference"]
        parts.append(str(dict(PREFERENCE_LABELS).get(chosen, _order(judgement))))
    elif judgement.ranks:
        parts.append(_order(judgement))
    for key, values in judgement.scores.items():
        parts.append(f"{key} " + ", ".join(f"{value:g}" for value in values))
    if judgement.comment:
        parts.append(_("with a comment"))
    return "; ".join(parts)


def _order(judgement: Judgement) -> str:
    ranks = judgement.ranks or []
    places = sorted(set(ranks))
    groups = ([letter(i) for i, rank in enumerate(ranks) if rank == place] for place in places)
    return " > ".join(" = ".join(group) for group in groups)
