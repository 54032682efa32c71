"""Numbers that explain themselves, and plots."""

from itertools import count
from typing import Any

from django import template

from palate.figures import Figure

register = template.Library()


@register.inclusion_tag("manage/figure.html", takes_context=True)
def figure(context: template.Context, number: Figure, short: bool = False) -> dict[str, Any]:
    """The number with its interval; a tap or the Enter key shows what it is. short: a dash where it is missing."""
    counter: Any = context.render_context.setdefault("figures", count(1))  # type: ignore[arg-type]
    return {"figure": number, "id": f"figure-{next(counter)}", "short": short}
