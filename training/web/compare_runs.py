"""Two runs of a kind beside each other: what was chosen otherwise, and what came of it."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext

from core.charts.lines import together
from training.engine.rl.frontiers import at_kl, root
from training.models import Run
from training.runs.options import label_of
from training.web import run_labels
from training.web.frontier import looks_of, measures
from training.web.run_curves import curves_of_two

NOTHING = "–"
# What rewards and KL are measured by.
BASIS = ("policy", "reward", "more_rewards", "ensemble", "caution", "terms", "reward_function", "guard")


@dataclass(frozen=True)
class Row:
    name: str
    first: Any
    second: Any


def comparable(run: Run) -> QuerySet[Run]:
    """The study's other runs of its kind, the newest first."""
    return (
        Run.objects.filter(study=run.study_id, kind=run.kind)
        .exclude(pk=run.pk)
        .defer("log_tail", "result")
        .order_by("-pk")
    )


def compared(first: Run, second: Run) -> dict[str, Any]:
    options = _rows(run_labels.all_options(first), run_labels.all_options(second))
    different = [row for row in options if row.first != row.second]
    basis = {gettext(label_of(name)) for name in BASIS}
    return {
        "options": different,
        "unlike": [row.name for row in different if row.name in basis],
        "results": _rows(dict(run_labels.results(first)), dict(run_labels.results(second))),
        "curves": curves_of_two(first, second),
        **_by_kl(looks_of(first), looks_of(second)),
    }


def _rows(first: dict[str, Any], second: dict[str, Any]) -> list[Row]:
    return [Row(name, first.get(name, NOTHING), second.get(name, NOTHING)) for name in first | second]


def _by_kl(first: list[dict[str, float]], second: list[dict[str, float]]) -> dict[str, Any]:
    """Of two tunings: each measure against √KL, and its value at the largest KL that both came to, where the dearer of
    them has no advantage."""
    if len(first) < 2 or len(second) < 2:
        return {}
    common = min(max(look["kl"] for look in looks) for looks in (first, second))
    charts, equal = [], []
    for key, words in measures():
        if key in first[0] and key in second[0]:
            lines = together([[(root(look["kl"]), look[key]) for look in looks] for looks in (first, second)])
            charts.append(Row(words, *lines))
            equal.append(Row(words, *(at_kl(looks, common, key) for looks in (first, second))))
    return {"charts": charts, "equal": equal, "common": common}
