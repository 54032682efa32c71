"""Numbers that explain themselves, and plots."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from django import template
from django.http import QueryDict
from django.utils.translation import gettext as _

from annotate.analytics.column_help import COLUMNS
from annotate.models.selection import PARTS, JudgementSelection, Who
from core.figures import Figure

register = template.Library()


@register.inclusion_tag("manage/figure.html", takes_context=True)
def figure(context: template.Context, number: Figure, short: bool = False) -> dict[str, Any]:
    """The number with its interval; a tap or the Enter key shows what it is. short: a dash where it is missing."""
    return {"figure": number, "id": _next_id(context), "short": short}


@register.inclusion_tag("manage/explained.html", takes_context=True)
def explained(context: template.Context, key: str) -> dict[str, Any]:
    """The heading of a column of numbers, by its key in COLUMNS; a tap or the Enter key shows what they are."""
    heading, what, method, source = COLUMNS[key]
    return {"heading": heading, "what": what, "method": method, "source": source, "id": _next_id(context)}


@register.inclusion_tag("manage/selection.html", takes_context=True)
def selection_switch(context: template.Context, selection: JudgementSelection) -> dict[str, Any]:
    """Links that say which judgements the page's figures count, and lead to the same page with others."""
    asked: QueryDict = context["request"].GET
    notices = {
        Who.SIMULATED: _("These figures are of simulated raters, not of people."),
        Who.MACHINE: _("These figures are of machine judges, not of people."),
        Who.ALL: _("These figures mix people with simulated raters and machine judges."),
    }
    unasked = _("No person has voted here yet: these figures are of simulated raters, not of people.")
    by_default = selection.who == Who.SIMULATED and not asked.get("who")

    def choices(field: str, of: Sequence[tuple[str, Any]], chosen: str) -> list[tuple[Any, str, bool]]:
        now = {"who": selection.who, "answers": selection.part}
        return [(words, _address(asked, {**now, field: value}), value == chosen) for value, words in of]

    return {
        "groups": [
            (_("Judgements of"), choices("who", Who.choices, selection.who)),
            (_("Kind of answer"), choices("answers", PARTS, selection.part)),
        ],
        "notice": unasked if by_default else notices.get(Who(selection.who), ""),
    }


def _address(asked: QueryDict, changes: dict[str, str]) -> str:
    """The page's query with these changes; a page number of one selection is none of another."""
    query = asked.copy()
    query.pop("page", None)
    for name, value in changes.items():
        query[name] = value
    return query.urlencode()


def _next_id(context: template.Context) -> str:
    counter: Any = context.render_context.setdefault("figures", count(1))  # type: ignore[arg-type]
    return f"figure-{next(counter)}"
