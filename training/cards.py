"""Model cards: what a saved model is, from what it was made, and how good it is beside its baselines."""

from collections.abc import Mapping
from typing import Any

from annotate.studies.models import Study
from training import snapshots
from training.models import Snapshot


def figure(figures: Mapping[str, Any], name: str) -> str:
    """A figure with its interval, such as "0.812 [0.774, 0.846]"; name may be "baselines.longer"."""
    value: Any = figures
    interval: Any = figures["intervals"]
    for part in name.split("."):
        value, interval = value[part], interval[part]
    if value is None:
        return "–"
    # Of a single prompt there is no interval.
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else f"{value:.3f}"


def told(figures: Mapping[str, Any] | None) -> str:
    """The evaluation in one line for a log."""
    if figures is None:
        return "no judgements in the test split, so nothing to evaluate on"
    return (
        f"accuracy {figure(figures, 'accuracy')} on {figures['pairs']} held-out pairs; longer wins "
        f"{figure(figures, 'baselines.longer')}; majority {figure(figures, 'baselines.majority')}; "
        f"one rater against the others {figure(figures, 'baselines.rater_vs_others')}"
    )


def preference_card(name: str, study: Study, snapshot: Snapshot, base: str, metrics: Mapping[str, Any]) -> str:
    return f"""# {name}

A preference model of the study “{study.name}”: a scalar reward for a prompt and a response.

- base model: `{base}`
- snapshot: `{snapshot.sha256}` with {snapshots.size(snapshot)} judgements
- training pairs: {metrics["train_pairs"]}, validation pairs: {metrics["validation_pairs"]}, steps: {metrics["steps"]}
- quality in (0, 1) is σ((reward − {metrics["centre"]:.4f}) / {metrics["temperature"]:.4f})

{_evaluation_table(metrics["evaluation"])}
"""


def _evaluation_table(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "The study has no judgements in its test split, so this model was not evaluated."
    rows = {
        "accuracy": "accuracy",
        "accuracy, vote margin of two or more": "accuracy_clear",
        "baseline: the longer response wins": "baselines.longer",
        "baseline: the slot that wins more often": "baselines.majority",
        "human agreement: one rater against the others": "baselines.rater_vs_others",
        "log loss": "log_loss",
        "expected calibration error": "ece",
        "Kendall's τ by prompt": "kendall_tau",
    }
    lines = "\n".join(f"| {label} | {figure(figures, name)} |" for label, name in rows.items())
    return (
        f"On {figures['pairs']} pairs ({figures['pairs_clear']} clear) of {figures['prompts']} held-out prompts, "
        f"95 % bootstrap intervals by prompt:\n\n| figure | value |\n|---|---|\n{lines}"
    )


def policy_card(name: str, study: Study, policy: str, reward: str, metrics: Mapping[str, Any]) -> str:
    before, after = metrics["before"], metrics["after"]
    lines = "\n".join(f"| {key} | {before[key]:.3f} | {after[key]:.3f} |" for key in before if key in after)
    baseline = "".join(
        f"| best of {row['n']:.0f} of the start | {row['kl']:.2f} | "
        f"{row['reward']:.3f} ± {1.96 * row['reward_se']:.3f} |\n"
        for row in metrics["best_of"]
    )
    beside = f"\n| policy | KL, nats | reward |\n|---|---|---|\n{baseline}" if baseline else ""
    if beside:
        beside += f"| this one | {after['kl']:.2f} | {after['reward']:.3f} |\n"
    return f"""# {name}

A policy tuned for the study “{study.name}” by {metrics["algorithm"]}.

- tuned from: `{policy}`
- reward: `{reward}`
- steps: {metrics["steps"]}, the policy of step {metrics["kept_step"]} was kept{_why(metrics["stopped"])}

Means over the validation prompts. A higher reward is not yet better text: see the blind win rate of its round.

| figure | before | after |
|---|---|---|
{lines}
{beside}"""


def _why(stopped: str) -> str:
    return f"; the run stopped: {stopped}" if stopped else ""
