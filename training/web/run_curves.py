"""The curves of a run: one chart a measure, for the run's page and for two runs beside each other."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _

from core.charts.lines import together
from training.models import Run, RunPoint
from training.web import run_labels

HELD_OUT_CURVES = {"held_out_reward", "held_out_kl", "held_out_guard_reward", "held_out_preference_accuracy"}
SHOWN_POINTS = 300

Line = list[tuple[float, float]]


def curves(run: Run) -> list[dict[str, Any]]:
    """One curve a metric: name, polylines, ends of the axes and the last value; about SHOWN_POINTS each. Members of an
    ensemble, which are trained one after another, have a line each."""
    drawn = [{**_drawn(name, lines), "now": f"{lines[-1][-1][1]:.3g}"} for name, lines in measured(run).items()]
    return [{**curve, "lines": [line for line in curve["lines"] if line]} for curve in drawn]


def curves_of_two(first: Run, second: Run) -> list[dict[str, Any]]:
    """The curves that both runs have, each of two lines on the same axes, and both last values."""
    of_first, of_second = measured(first), measured(second)
    both = {name: [of_first[name][-1], of_second[name][-1]] for name in of_first if name in of_second}
    return [{**_drawn(name, lines), "now": [f"{line[-1][1]:.3g}" for line in lines]} for name, lines in both.items()]


def measured(run: Run) -> dict[str, list[Line]]:
    """Return the points (step, value) of each measure, without those that the table of evaluations shows."""
    points: dict[str, list[Line]] = {}
    for step, values in RunPoint.objects.filter(run=run).order_by("pk").values_list("step", "values"):
        for name, value in values.items():
            if name.startswith("held_out_") and name not in HELD_OUT_CURVES:
                continue
            members = points.setdefault(name, [[]])
            if members[-1] and step <= members[-1][-1][0]:
                members.append([])
            members[-1].append((step, value))
    return points


def _drawn(name: str, lines: Sequence[Line]) -> dict[str, Any]:
    points = [point for line in lines for point in line]
    steps = [int(step) for step, _ in points]
    every = max(1, len(points) // SHOWN_POINTS)
    return {
        "name": run_labels.measure(name),
        "lines": together([_thinned(line, every) for line in lines]),
        "low": f"{min(y for _, y in points):.3g}",
        "high": f"{max(y for _, y in points):.3g}",
        "steps": _("step %(a)s to %(b)s") % {"a": min(steps), "b": max(steps)},
    }


def _thinned(points: Line, every: int) -> Line:
    thinned: Iterable[tuple[float, float]] = points[::every]
    return [*thinned] if points[-1] in points[::every] else [*thinned, points[-1]]
