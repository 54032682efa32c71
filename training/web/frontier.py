"""What a tuning run won for the KL it spent, beside best-of-n of its start: for the run's page."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from core.charts.lines import together
from training.engine.rl.frontiers import at_kl, root
from training.models import Run, RunPoint, RunSample
from training.runs.stop_reasons import stop_sentence
from training.web.token_highlights import Side, moved

SHOWN_COMPARISONS = 20


@dataclass(frozen=True)
class Chart:
    """One measure against √KL: the run's evaluations, and best-of-n. value: at the look whose policy is kept, or while
    the run goes on at the last one; top: of the largest n, and equal: of the run at the same KL, if it came so far."""

    name: str
    tuned: str
    best_of: str
    value: str
    top: str
    equal: str


def frontier(run: Run) -> dict[str, Any]:
    """Charts and table rows of a run's evaluations at the held-out prompts; nothing before the second look."""
    evaluations = evaluations_of(run)
    best_of = run.result.get("best_of", [])
    best = next((result for result in evaluations if result["step"] == run.result.get("best_step")), None)
    if len(evaluations) < 2:
        return {}
    shown = best or evaluations[-1]
    return {
        "charts": [
            _chart(words, key, evaluations, best_of, shown) for key, words in measures() if key in evaluations[0]
        ],
        "ended_at_best": best is not None,
        "evaluations": [_row(result, best=result is best) for result in evaluations],
        "best_of": [_row(row, best=False) for row in best_of],
        "guarded": "guard_reward" in evaluations[0],
        "stopped": stop_sentence(run.result),
    }


def evaluations_of(run: Run) -> list[dict[str, float]]:
    """What was measured on the held-out prompts, look by look."""
    points = RunPoint.objects.filter(run=run, values__has_key="held_out_kl").order_by("step", "id")
    return [
        {"step": step, **{name.removeprefix("held_out_"): value for name, value in values.items()}}
        for step, values in points.values_list("step", "values")
    ]


def measures() -> list[tuple[str, str]]:
    """What is told against √KL, and its words."""
    return [("reward", _("Reward")), ("guard_reward", _("Held-out preference model"))]


@dataclass(frozen=True)
class Comparison:
    """What the policy wrote to a prompt before and after; sides of a run of an older version have no words."""

    sample: RunSample
    before: Side
    after: Side


def comparisons(run: Run) -> list[Comparison]:
    """What the policy wrote before and after, the prompt that lost most reward first."""
    rows = list(run.samples.filter(before__isnull=False))
    rows.sort(key=lambda row: (row.reward or 0.0) - (row.before_reward or 0.0))
    return [
        Comparison(row, moved(row.changes.get("before", [])), moved(row.changes.get("after", [])))
        for row in rows[:SHOWN_COMPARISONS]
    ]


def _chart(
    words: str, key: str, evaluations: list[dict[str, float]], best_of: list[dict[str, float]], shown: dict[str, float]
) -> Chart:
    tuned, baseline = ([(root(row["kl"]), row[key]) for row in rows if key in row] for rows in (evaluations, best_of))
    lines = together([tuned, baseline])
    top = equal = ""
    if baseline:
        top, reached = f"{best_of[-1][key]:.3g}", at_kl(evaluations, best_of[-1]["kl"], key)
        equal = "" if reached is None else f"{reached:.3g}"
    return Chart(words, lines[0], lines[1], f"{shown[key]:.3g}", top, equal)


def _row(row: dict[str, float], *, best: bool) -> dict[str, Any]:
    return {**row, "root_kl": root(row["kl"]), "best": best}
