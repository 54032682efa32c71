"""Compare two runs of a kind: their options, results and curves."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from core.charts.lines import together
from training.engine.rl.frontiers import at_kl, root
from training.models import Run
from training.runs.job import JOBS
from training.runs.options import labels_of
from training.web import run_labels
from training.web.frontier import evaluations_of, measures
from training.web.run_curves import curves_of_two

NOTHING = "–"
# The options on which the meaning of reward and KL depends.
BASIS = ("policy", "reward", "more_rewards", "ensemble", "uncertainty_penalty", "terms", "reward_function", "guard")


@dataclass(frozen=True)
class Row:
    name: str
    first: Any
    second: Any


def comparable(run: Run) -> QuerySet[Run]:
    """Return the study's other runs of the same kind, the newest first."""
    return (
        Run.objects.filter(study=run.study_id, kind=run.kind)
        .exclude(pk=run.pk)
        .defer("log_tail", "result")
        .order_by("-pk")
    )


def compare_runs(first: Run, second: Run) -> dict[str, Any]:
    options = _rows(run_labels.all_options(first), run_labels.all_options(second))
    different = [row for row in options if row.first != row.second]
    labels = labels_of(JOBS[first.kind].options)
    basis = {labels[name] for name in BASIS if name in labels}
    return {
        "options": different,
        "unlike": [row.name for row in different if row.name in basis],
        "results": _rows(dict(run_labels.results(first)), dict(run_labels.results(second))),
        "curves": curves_of_two(first, second),
        **_by_kl(evaluations_of(first), evaluations_of(second)),
    }


def _rows(first: dict[str, Any], second: dict[str, Any]) -> list[Row]:
    return [Row(name, first.get(name, NOTHING), second.get(name, NOTHING)) for name in first | second]


def _by_kl(first: list[dict[str, float]], second: list[dict[str, float]]) -> dict[str, Any]:
    """Compare two tuning runs: each measure against √KL, and its value at the largest KL that both runs reached."""
    if len(first) < 2 or len(second) < 2:
        return {}
    common = min(max(result["kl"] for result in evaluations) for evaluations in (first, second))
    charts, equal = [], []
    for key, words in measures():
        if key in first[0] and key in second[0]:
            lines = together(
                [[(root(result["kl"]), result[key]) for result in evaluations] for evaluations in (first, second)]
            )
            charts.append(Row(words, *lines))
            equal.append(Row(words, *(at_kl(evaluations, common, key) for evaluations in (first, second))))
    return {"charts": charts, "equal": equal, "common": common}
