"""Model cards: what a saved model is, from what it was made, and how good it is beside its baselines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotate.models.studies import Study
from training.models import Snapshot
from training.registry import snapshots
from training.registry.card_files import Facts

MEASURED = ("accuracy", "accuracy_clear", "log_loss", "ece", "kendall_tau")


def figure(figures: Mapping[str, Any], name: str) -> str:
    """A figure with its interval, such as "0.812 [0.774, 0.846]"; name may be "baselines.longer"."""
    value: Any = figures
    interval: Any = figures["intervals"]
    for part in name.split("."):
        value, interval = value.get(part), interval.get(part)  # evaluations of older versions lack some
    if value is None:
        return "–"
    # Of a single prompt there is no interval.
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else f"{value:.3f}"


def format_evaluation(figures: Mapping[str, Any] | None) -> str:
    """The evaluation in one line for a log."""
    if figures is None:
        return "no judgements in the test split, so nothing to evaluate on"
    return (
        f"accuracy {figure(figures, 'accuracy')} on {figures['pairs']} held-out pairs; longer wins "
        f"{figure(figures, 'baselines.longer')}; {_slot(figures)}"
        f"one rater against the others {figure(figures, 'baselines.rater_vs_others')}"
    )


def _slot(figures: Mapping[str, Any]) -> str:
    """The slot baseline; there is none where the order shown is unknown, as in most imports."""
    known = figures["baselines"].get("majority") is not None
    return f"majority {figure(figures, 'baselines.majority')}; " if known else ""


def _steps(count: int) -> str:
    """A linear model is solved for, so it has none."""
    return f", steps: {count}" if count else ""


def preference_card(name: str, study: Study, snapshot: Snapshot, base: str, metrics: Mapping[str, Any]) -> str:
    return f"""# {name}

A preference model of the study “{study.name}”: a scalar reward for a prompt and a response.

- base model: {shown(base) or "none"}
- snapshot: `{snapshot.sha256}` with {snapshots.size(snapshot)} judgements
- training pairs: {metrics["train_pairs"]}, validation pairs: {metrics["validation_pairs"]}{_steps(metrics["steps"])}
- quality in (0, 1) is σ((reward − {metrics["centre"]:.4f}) / {metrics["temperature"]:.4f})
{truncated(metrics)}
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
        "the same of a perfectly calibrated model, by chance": "ece_by_chance",
        "Kendall's τ by prompt": "kendall_tau",
    }
    if not _slot(figures):
        del rows["baseline: the slot that wins more often"]
    lines = "\n".join(f"| {label} | {figure(figures, name)} |" for label, name in rows.items())
    return (
        f"On {figures['pairs']} pairs ({figures['pairs_clear']} clear) of {figures['prompts']} held-out prompts, "
        f"95 % bootstrap intervals by prompt:\n\n| figure | value |\n|---|---|\n{lines}"
    )


def student_card(
    name: str, study: Study, snapshot: Snapshot, teacher: str, kind: str, metrics: Mapping[str, Any]
) -> str:
    result = metrics["teacher"]
    rows = {"accuracy": "accuracy", "log loss": "log_loss"}
    lines = "\n".join(
        f"| {words} | {_interval(result['model'][key])} | {_interval(result['reference'][key])} |"
        for words, key in rows.items()
    )
    speed = result["speed"]
    return f"""# {name}

A preference model of the study “{study.name}”: a scalar reward for a prompt and a response, distilled.

- kind: {kind}; teacher: `{teacher}`, whose rewards it learned by squared error on {metrics["train_texts"]} texts
- calibrated on the judgements of the validation split in snapshot `{snapshot.sha256}`
- quality in (0, 1) is σ((reward − {metrics["centre"]:.4f}) / {metrics["temperature"]:.4f})

On {result["pairs"]} held-out pairs, 95 % bootstrap intervals by group of prompts:

| figure | student | teacher |
|---|---|---|
{lines}
| responses a second, {speed["texts"]} texts | {speed["model"]:.0f} | {speed["reference"]:.0f} |

- accuracy, student minus teacher: {_interval(result["accuracy_difference"])}
- correlation of their rewards on {result["responses"]} held-out responses: Pearson
  {_interval(result["pearson"])}, Spearman {_interval(result["spearman"])}
- {speed["ratio"]:.1f} times as fast as its teacher

{_evaluation_table(metrics["evaluation"])}
"""


def format_comparison(name: str, result: Mapping[str, Any]) -> str:
    """Return a model's comparison with its teacher or its own float32 as one line for a log."""
    return (
        f"accuracy {_interval(result['model']['accuracy'])}, {name} {_interval(result['reference']['accuracy'])}, "
        f"difference {_interval(result['accuracy_difference'])} on {result['pairs']} held-out pairs; "
        f"correlation of rewards "
        f"{_interval(result['pearson'])}; {result['speed']['ratio']:.1f} times as fast"
    )


def _interval(figure: Mapping[str, Any] | None) -> str:
    """A figure of a report, {"value", "low", "high"} or None."""
    if figure is None:
        return "–"
    interval = "" if figure["low"] is None else f" [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{figure['value']:.3f}{interval}"


def policy_card(name: str, study: Study, policy: str, reward: str, metrics: Mapping[str, Any]) -> str:
    before, after = metrics["before"], metrics["after"]
    lines = "\n".join(f"| {key} | {before[key]:.3f} | {after[key]:.3f} |" for key in before if key in after)
    baseline = "".join(
        f"| best of {row['n']:.0f} of the start | {row['kl']:.2f} | "
        f"{row['reward']:.3f} ± {1.96 * row['reward_se']:.3f} |\n"
        for row in metrics["best_of"]
    )
    table = f"\n| policy | KL, nats | reward |\n|---|---|---|\n{baseline}" if baseline else ""
    if table:
        table += f"| this one | {after['kl']:.2f} | {after['reward']:.3f} |\n"
    return f"""# {name}

A policy tuned for the study “{study.name}” by {metrics["algorithm"]}.

- tuned from: {shown(policy)}
- reward: {reward}
- steps: {metrics["steps"]}, the policy of step {metrics["best_step"]} was kept{_why(metrics["stopped"])}
{truncated(metrics)}
Means over {metrics["held_out_prompts"]} validation prompts, none of which selected the step. A higher reward is not yet
better text: see the blind win rate of its round.

| figure | before | after |
|---|---|---|
{lines}
{table}"""


def truncated(metrics: Mapping[str, Any]) -> str:
    """Lines of a card about texts that were too long for the model, none if all fitted."""
    return "".join(f"- {line}\n" for line in metrics["truncation"])


def _why(stopped: str) -> str:
    return f"; the run stopped: {stopped}" if stopped else ""


def preference_facts(study: Study, snapshot: Snapshot, base: str, metrics: Mapping[str, Any]) -> Facts:
    evaluation = metrics["evaluation"] or {}
    return Facts(
        base=base,
        tags=["reward-model", "preference-model"],
        origin=origin(study, snapshot),
        figures={name: evaluation.get(name) for name in MEASURED},
        measured_on=f"{study.name}, test split",
        task="text-classification",
    )


def policy_facts(study: Study, policy: str, snapshot: Snapshot | None, metrics: Mapping[str, Any]) -> Facts:
    after = metrics["after"]
    return Facts(
        base=policy,
        tags=["rlhf", metrics["algorithm"]],
        origin=origin(study, snapshot),
        figures={name: after.get(name) for name in ("reward", "quality", "kl")},
        measured_on=f"{study.name}, validation split",
    )


def origin(study: Study | None, snapshot: Snapshot | None = None) -> dict[str, Any]:
    """From what a model was made, as far as it may be told outside."""
    values: dict[str, Any] = {"study": study.slug} if study else {}
    if snapshot:
        values |= {"snapshot": f"sha256:{snapshot.sha256}", "judgements": snapshots.size(snapshot)}
    return values


def shown(model: str) -> str:
    """A model in a card: folders by their last name, since the card may leave this machine."""
    return f"`{Path(model).name if Path(model).is_dir() else model}`" if model else ""


def rewards_shown(models: list[str], *others: str) -> str:
    return ", ".join(filter(None, [*map(shown, models), *(f"`{other}`" for other in others if other)]))
