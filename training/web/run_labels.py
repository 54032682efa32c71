"""Labels of the options, figures and models on the page of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from training.models import ModelVersion, Run
from training.registry import model_versions
from training.registry.cards import figure
from training.runs.choice_labels import choice_label
from training.runs.job import JOBS
from training.runs.options import labels_of, on_a_page, with_choices
from training.runs.run_errors import MESSAGES
from training.runs.stop_reasons import stop_sentence

MEASURES = {
    "accuracy": _("Accuracy"),
    "accuracy_clear": _("Accuracy, vote margin of two or more"),
    "active_units": _("Numbers of the latent in use"),
    "against": _("Against"),
    "at_random": _("Chosen at random"),
    "beta": _("Weight of the KL penalty"),
    "by_rule": _("Chosen by the rule"),
    "centre": _("Centre of the quality"),
    "clipped": _("Share of tokens clipped"),
    "discriminator_accuracy": _("Discriminator's accuracy"),
    "distinct_2": _("Distinct pairs of words"),
    "duplicate_judgements": _("Judgements that stand in the file twice"),
    "ece": _("Calibration error"),
    "entropy": _("Entropy, nats a token"),
    "explained_variance": _("Variance explained by the critic"),
    "finished": _("Share of responses finished"),
    "position_bias": _("Pull of the place shown first"),
    "float32": _("In float32"),
    "grad_norm": _("Norm of the gradient"),
    "guard_reward": _("Held-out model's reward"),
    "held_out_guard_reward": _("Held-out model's reward"),
    "guard_quality": _("Held-out model's quality"),
    "held_out_guard_quality": _("Held-out model's quality"),
    "held_out_kl": _("KL to the start, held-out prompts"),
    "held_out_preference_accuracy": _("Pairs the policy orders as raters do, held-out prompts"),
    "held_out_reward": _("Reward, held-out prompts"),
    "ignored_fields": _("Fields that were not read"),
    "judge": _("Judge"),
    "judgements": _("Judgements"),
    "kendall_tau": _("Kendall's τ"),
    "best_step": _("Best step"),
    "kl": _("KL to the start, nats"),
    "kl_k3": _("KL to the start, estimate k3"),
    "kl_origin": _("KL that KTO compares with"),
    "latent_kl": _("KL of the latent, nats a text"),
    "length": _("Length, tokens"),
    "log_loss": _("Log loss"),
    "loss": _("Loss"),
    "model": _("Model"),
    "other_split": _("Rows that name another split"),
    "pairs": _("Pairs"),
    "pairs_clear": _("Pairs, vote margin of two or more"),
    "pairs_tied": _("Pairs without a majority"),
    "parameters": _("Parameters"),
    "perplexity": _("Perplexity, held-out texts"),
    "perplexity_of_start": _("Perplexity of the start"),
    "preference_accuracy": _("Pairs the policy orders as raters do"),
    "prompts": _("Prompts"),
    "prioritized": _("Prioritized"),
    "quality": _("Quality"),
    "raters": _("Raters"),
    "reconstruction": _("Reconstruction, nats a token"),
    "repeats": _("Repeated judgements"),
    "responses": _("Responses"),
    "revision": _("Revision of the code"),
    "reward": _("Reward"),
    "round": _("Round"),
    "scored": _("Scored"),
    "scored_before": _("Scored before"),
    "self_bleu": _("Self-BLEU"),
    "shared_prompts": _("Prompts read once for all responses"),
    "snapshot": _("Snapshot"),
    "stopped": _("Stopped early"),
    "tasks": _("Tasks"),
    "tasks_made": _("Tasks made"),
    "temperature": _("Temperature of the calibration"),
    "train_pairs": _("Pairs trained on"),
    "train_responses": _("Responses trained on"),
    "train_texts": _("Texts trained on"),
    "truncated": _("Texts cut short"),
    "validation_loss": _("Validation loss"),
    "validation_pairs": _("Pairs of the validation split"),
    "validation_texts": _("Texts of the validation split"),
}
KNOWN_ERRORS = set(MESSAGES.values())
# Results that the page shows as a button to the model.
MODEL_RESULTS = {"model", "model_version"}
# Options and results whose value is the folder or the number of a model version.
MODELS = {"policy", "reward", "guard", "against", "base_model", "teacher", "taste", "model", "model_version"}
SEVERAL_MODELS = {"more_rewards"}
# The figures of an evaluated preference model, on its page and on that of its run.
EVALUATED = [
    ("accuracy", _("Accuracy")),
    ("accuracy_clear", _("Accuracy, vote margin of two or more")),
    ("baselines.longer", _("Baseline: longer wins")),
    ("baselines.majority", _("Baseline: the slot that wins more often")),
    ("baselines.rater_vs_others", _("One rater against the others")),
    ("log_loss", _("Log loss")),
    ("ece", _("Calibration error")),
    ("kendall_tau", _("Kendall's τ")),
]


def measure(name: str) -> str:
    """Return the label of a figure or an option; a user-defined reward term keeps its name."""
    if name.startswith("reward_"):
        return f"{gettext('Reward')}: {name.removeprefix('reward_').replace('_', ' ')}"
    if name in MEASURES:
        return str(MEASURES[name])
    labels = (labels_of(job.options) for job in JOBS.values())
    return next((known[name] for known in labels if name in known), name.replace("_", " ").capitalize())


def options(run: Run) -> list[tuple[str, Any]]:
    """Return the options that differ from their defaults, in the order of the form."""
    return _options(run, {name: value for name, value in run.config.items() if value != _defaults(run).get(name)})


def untouched(run: Run) -> list[tuple[str, Any]]:
    """Return the options with default values."""
    return _options(run, {name: value for name, value in run.config.items() if value == _defaults(run).get(name)})


def all_options(run: Run) -> dict[str, Any]:
    """Return every option of the run by its label, including those that were not set."""
    return dict(_options(run, _defaults(run) | run.config))


def results(run: Run) -> list[tuple[str, Any]]:
    """Return the scalar values of the run's result with their labels; tables and lists are shown elsewhere."""
    hidden = MODEL_RESULTS if hasattr(run, "model_version") else set()
    values = {name: value for name, value in run.result.items() if isinstance(value, (str, int, float)) and value != ""}
    values |= {"stopped": why} if (why := stop_sentence(run.result)) else {}
    if not values.get("steps"):  # a linear model has a closed-form fit without steps
        values.pop("steps", None)
    intervals, choices = run.result.get("intervals") or {}, with_choices(JOBS[run.kind].options)
    formatted = {
        name: choice_label(value) if name in choices else _format_value(value, intervals.get(name))
        for name, value in values.items()
    } | _names(run, values)
    rows = [(measure(name), value) for name, value in formatted.items() if name not in hidden]
    return _evaluation_rows(run.result.get("evaluation")) + rows + _float32_rows(run.result.get("float32"))


def error(run: Run) -> str:
    """Return the error message, known ones in the language of the page, followed by the traceback."""
    message, gap, trace = run.error.partition("\n\n")
    if message in KNOWN_ERRORS:
        return f"{gettext(message)}{gap}{trace}"
    return run.error if trace else on_a_page(run.error, JOBS[run.kind].options)


def _evaluation_rows(evaluation: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Return the figures of a trained model's evaluation with its baselines."""
    rows = [(str(label), figure(evaluation, name)) for name, label in EVALUATED] if evaluation else []
    return [(label, value) for label, value in rows if value != "–"]


def _defaults(run: Run) -> dict[str, Any]:
    return {field.name: field.default for field in fields(JOBS[run.kind].options) if field.default is not MISSING}


def _options(run: Run, config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    names, job = _names(run, config), JOBS[run.kind].options
    choices, labels = with_choices(job), labels_of(job)
    order = {name: n for n, name in enumerate(labels)}
    return [
        (
            labels.get(name, name),
            names.get(name, choice_label(value) if name in choices else _yes_or_no(value)),
        )
        for name, value in sorted(config.items(), key=lambda item: order.get(item[0], len(order)))
    ]


def _float32_rows(comparison: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Return the loss of accuracy and the gain in speed of lower precision, where it was measured."""
    if not comparison:
        return []
    figures = {
        gettext("Accuracy in float32"): comparison["reference"]["accuracy"],
        gettext("Accuracy minus that in float32"): comparison["accuracy_difference"],
        gettext("Correlation of the rewards with those in float32"): comparison["pearson"],
    }
    rows = [(label, _format_value(one["value"], (one["low"], one["high"]))) for label, one in figures.items() if one]
    return [*rows, (gettext("Times as fast as float32"), _format_value(comparison["speed"]["ratio"]))]


def _format_value(value: Any, interval: Sequence[float | None] | None = None) -> Any:
    if not isinstance(value, float):
        return _yes_or_no(value)
    low, high = interval or (None, None)
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} [{low:.3f}, {high:.3f}]"


def _yes_or_no(value: Any) -> Any:
    if isinstance(value, bool):
        return gettext("yes") if value else pgettext("choice", "no")
    return value


def _names(run: Run, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the model versions for the values that are their folders or numbers."""
    references = {name: [str(value)] for name, value in values.items() if name in MODELS}
    references |= {name: str(value).split(",") for name, value in values.items() if name in SEVERAL_MODELS}
    parts = [part for row in references.values() for part in row]
    versions = ModelVersion.objects.filter(model_versions.in_reach(run.study))
    names = dict(versions.filter(path__in=parts).values_list("path", "name"))
    numbers = dict(versions.filter(pk__in=[part for part in parts if part.isdecimal()]).values_list("pk", "name"))
    names |= {str(number): name for number, name in numbers.items()}
    return {
        name: ", ".join(names.get(part, part) for part in row) for name, row in references.items() if names.keys() & row
    }
