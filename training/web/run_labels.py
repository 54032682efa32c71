"""What the page of a run calls the options it was given, the figures it measured and the models it names."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from training.models import ModelVersion, Run
from training.registry import model_versions
from training.registry.cards import figure
from training.runs.choice_labels import spoken
from training.runs.job import JOBS
from training.runs.options import label_of, on_a_page, with_choices
from training.runs.run_errors import WORDS
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
    "first_place": _("Pull of the place shown first"),
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
    "kept_step": _("Step kept"),
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
    "prioritize": _("Put forward"),
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
TROUBLE = set(WORDS.values())
# Options that forms do not have, and commands may have set.
COMMANDS = (_("Output"), _("Sampler"), _("Sampler address"), _("Reward function"))
# Shown elsewhere on the page: the button to the model.
ELSEWHERE = {"model", "model_version"}
# Options and results that hold the folder or the number of a model version.
MODELS = {"policy", "reward", "guard", "against", "base_model", "teacher", "taste", "model", "model_version"}
SEVERAL_MODELS = {"more_rewards"}
# Of a preference model that was evaluated, on its page and that of its run.
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
    """The words for a measured figure; a term of the reward, which anybody may name, keeps its name."""
    if name.startswith("reward_"):
        return f"{gettext('Reward')}: {name.removeprefix('reward_').replace('_', ' ')}"
    return str(MEASURES.get(name) or gettext(label_of(name)))


def options(run: Run) -> list[tuple[str, Any]]:
    """What was chosen for the run, in the order of the form: the database keeps none."""
    return _options(run, {name: value for name, value in run.config.items() if value != _defaults(run).get(name)})


def untouched(run: Run) -> list[tuple[str, Any]]:
    """The options of the run that were given their defaults, as a page does with all that nobody changed."""
    return _options(run, {name: value for name, value in run.config.items() if value == _defaults(run).get(name)})


def all_options(run: Run) -> dict[str, Any]:
    """Every option of the run by its words, the database's and those that nobody gave alike."""
    return dict(_options(run, _defaults(run) | run.config))


def results(run: Run) -> list[tuple[str, Any]]:
    """The plain values of its result, in words; tables and lists have places of their own."""
    hidden = ELSEWHERE if hasattr(run, "model_version") else set()
    kept = {name: value for name, value in run.result.items() if isinstance(value, (str, int, float)) and value != ""}
    kept |= {"stopped": why} if (why := stop_sentence(run.result)) else {}
    if not kept.get("steps"):  # a linear model is solved for, so it has none
        kept.pop("steps", None)
    named, intervals = _names(run, kept), run.result.get("intervals") or {}
    chosen = with_choices(JOBS[run.kind].options)
    told = {n: spoken(value) if n in chosen else _told(value, intervals.get(n)) for n, value in kept.items()} | named
    rows = [(measure(name), value) for name, value in told.items() if name not in hidden]
    return _evaluated(run.result.get("evaluation")) + rows + _beside_float32(run.result.get("float32"))


def error(run: Run) -> str:
    """What went wrong, known causes in the language of the page; a traceback behind it stays as it is."""
    told, gap, trace = run.error.partition("\n\n")
    return f"{gettext(told)}{gap}{trace}" if told in TROUBLE else run.error if trace else on_a_page(run.error)


def _evaluated(evaluation: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Of a model that was evaluated when it was trained, beside the baselines."""
    told = [(str(words), figure(evaluation, name)) for name, words in EVALUATED] if evaluation else []
    return [(words, value) for words, value in told if value != "–"]


def _defaults(run: Run) -> dict[str, Any]:
    return {field.name: field.default for field in fields(JOBS[run.kind].options) if field.default is not MISSING}


def _options(run: Run, config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    named, job = _names(run, config), JOBS[run.kind].options
    chosen = with_choices(job)
    place = {field.name: n for n, field in enumerate(fields(job))}
    ordered = sorted(config.items(), key=lambda item: place.get(item[0], len(place)))
    told = {name: spoken(value) if name in chosen else _switch(value) for name, value in ordered}
    return [(gettext(label_of(name)), named.get(name, value)) for name, value in told.items()]


def _beside_float32(beside: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """What coarser numbers cost and save, where they were tried."""
    if not beside:
        return []
    figures = {
        gettext("Accuracy in float32"): beside["reference"]["accuracy"],
        gettext("Accuracy minus that in float32"): beside["accuracy_difference"],
        gettext("Correlation of the rewards with those in float32"): beside["pearson"],
    }
    rows = [(words, _told(one["value"], (one["low"], one["high"]))) for words, one in figures.items() if one]
    return [*rows, (gettext("Times as fast as float32"), _told(beside["speed"]["ratio"]))]


def _told(value: Any, interval: Sequence[float | None] | None = None) -> Any:
    if not isinstance(value, float):
        return _switch(value)
    low, high = interval or (None, None)
    return f"{value:.4g}" if low is None or high is None else f"{value:.4g} [{low:.3f}, {high:.3f}]"


def _switch(value: Any) -> Any:
    if isinstance(value, bool):
        return gettext("yes") if value else pgettext("choice", "no")
    return value


def _names(run: Run, values: Mapping[str, Any]) -> dict[str, str]:
    """The name of the model version for each value that is its folder or number."""
    held = {name: [str(value)] for name, value in values.items() if name in MODELS}
    held |= {name: str(value).split(",") for name, value in values.items() if name in SEVERAL_MODELS}
    given = [part for parts in held.values() for part in parts]
    known = ModelVersion.objects.filter(model_versions.in_reach(run.study))
    names = dict(known.filter(path__in=given).values_list("path", "name"))
    numbers = dict(known.filter(pk__in=[part for part in given if part.isdecimal()]).values_list("pk", "name"))
    names |= {str(number): name for number, name in numbers.items()}
    return {
        name: ", ".join(names.get(part, part) for part in parts) for name, parts in held.items() if names.keys() & parts
    }
