"""Numbers that explain themselves, and plots."""

from itertools import count
from typing import Any

from django import template

from annotate.quality.column_words import COLUMNS
from palate.figures import Figure

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


def _next_id(context: template.Context) -> str:
    counter: Any = context.render_context.setdefault("figures", count(1))  # type: ignore[arg-type]
    return f"figure-{next(counter)}"
