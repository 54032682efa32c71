"""Pictures for docs/pictures/ from what the benches wrote with --json.

    .venv/bin/python bench/plots.py frontier FIGURES.json PICTURE.svg MEASURE=WORDS [MEASURE=WORDS …] [--kl 10]
    .venv/bin/python bench/plots.py objectives FIGURES.json PICTURE.svg

frontier: one panel a measure against √KL, of policy_stories.py or policy_reviews.py: a thin line a seed, the kept looks
as dots, their mean between the seeds' common KL as a thick line with a band of one standard deviation, and best-of-n of
the start. objectives: perplexity against quality of pretraining_objectives.py, a cross of one standard deviation each.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("svg")
import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from training.engine.rl.frontiers import at_kl, root

TUNED, START, QUIET = "#0b6e99", "#b4530a", "#6b7280"  # as on a run's page; told apart by shape, too
STYLE = {
    "svg.hashsalt": "palate", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": "white", "legend.frameon": False,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("frontier", "objectives"))
    parser.add_argument("figures", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("measures", nargs="*", help="MEASURE=WORDS")
    parser.add_argument("--kl", type=float, default=0.0, help="draw a KL budget at so many nats")
    arguments = parser.parse_args()
    figures = json.loads(arguments.figures.read_text())
    with plt.rc_context(STYLE):
        if arguments.kind == "frontier":
            measures = dict(text.split("=", 1) for text in arguments.measures)
            picture = frontier(figures, measures, arguments.kl)
        else:
            picture = objectives(figures)
        # Without a date the same figures give the same file.
        picture.savefig(arguments.picture, bbox_inches="tight", metadata={"Date": None})


def frontier(rows: list[dict], measures: dict[str, str], budget: float) -> plt.Figure:
    figure, panels = plt.subplots(1, len(measures), figsize=(4.2 * len(measures), 3.4), squeeze=False)
    for panel, (measure, words) in zip(panels[0], measures.items(), strict=True):
        for row in rows:
            panel.plot(_roots(row["frontier"]), _values(row["frontier"], measure), color=TUNED, alpha=0.35, lw=1)
            kept = next(evaluation for evaluation in row["frontier"] if evaluation["step"] == row["best_step"])
            panel.plot(_roots([kept]), _values([kept], measure), "o", color=TUNED, ms=5)
        roots, mean, spread = over_seeds(rows, measure)
        panel.plot(roots, mean, color=TUNED, lw=2.5, label=f"tuned, mean of {len(rows)} seeds; dots: kept")
        panel.fill_between(roots, mean - spread, mean + spread, color=TUNED, alpha=0.12, lw=0)
        if measure in rows[0]["best_of"][0]:
            _best_of(panel, rows, measure)
        if budget:
            panel.axvline(math.sqrt(budget), color=QUIET, lw=1, ls=":", label=f"KL budget, {budget:g} nats")
        panel.set(xlabel="√KL to the start, nats a response", title=words)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), bbox_to_anchor=(0.5, 0.02))
    figure.tight_layout()
    return figure


def over_seeds(rows: list[dict], measure: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation over seeds at equal √KL, as far as every seed came."""
    last = min(max(evaluation["kl"] for evaluation in row["frontier"]) for row in rows)
    roots = np.linspace(0, math.sqrt(last), 40)
    table = np.array([[at_kl(row["frontier"], min(at**2, last), measure) for at in roots] for row in rows])
    return roots, table.mean(axis=0), table.std(axis=0, ddof=min(1, len(rows) - 1))


def _best_of(panel: plt.Axes, rows: list[dict], measure: str) -> None:
    """Best of 1, 2, 4, … of the start: its KL is the same for every seed."""
    sizes = [evaluation["n"] for evaluation in rows[0]["best_of"]]
    table = np.array([_values(row["best_of"], measure) for row in rows])
    roots = _roots(rows[0]["best_of"])
    panel.plot(
        roots, table.mean(axis=0), "s--", color=START, ms=4, lw=1.5, label=f"best of 1 to {sizes[-1]} of the start"
    )


def _roots(evaluated: list[dict]) -> list[float]:
    return [root(evaluation["kl"]) for evaluation in evaluated]


def _values(evaluated: list[dict], measure: str) -> list[float]:
    return [evaluation[measure] for evaluation in evaluated]


def objectives(figures: dict[str, list[dict]]) -> plt.Figure:
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True)
    titles = {"quality": "by the model that scored the corpus", "held_out_quality": "by a model that did not"}
    for panel, (measure, title) in zip(panels, titles.items(), strict=True):
        for number, (objective, rows) in enumerate(figures.items()):
            x, y = (np.array([row[key] for row in rows]) for key in ("perplexity", measure))
            spread = {"xerr": x.std(ddof=1), "yerr": y.std(ddof=1)} if len(rows) > 1 else {}
            panel.errorbar(x.mean(), y.mean(), **spread, fmt="o", ms=4, color=TUNED, elinewidth=1)
            panel.annotate(
                objective,
                (x.mean(), y.mean()),
                xytext=(5, -12 if number % 2 else 5),
                textcoords="offset points",
                fontsize=9,
            )
        panel.set(xlabel="perplexity, held-out reviews", ylabel="quality of 200 texts", title=title)
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    main()
