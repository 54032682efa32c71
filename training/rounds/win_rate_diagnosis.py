"""Explain why raters do not prefer a round's policy to its predecessor, with the supporting figures."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.analytics.selection import default_selection
from annotate.models.judgements import Judgement
from annotate.models.prompts import Response
from annotate.models.selection import JudgementSelection
from core.statistics.bootstrap import NOTHING, mean_of_groups, share_of_groups
from training.models import ResponseReward, Round, Run
from training.rounds.win_rate import WinRate
from training.runs.stop_reasons import stop_sentence

SIMILAR = 0.9  # self-BLEU of nearly identical texts
SMALL_KL = 0.5  # nats per response below which most texts are unchanged

Interval = tuple[float, float, float]


def diagnose(round_: Round, rate: WinRate, selection: JudgementSelection | None = None) -> list[str]:
    """Return the reasons, empty where the whole interval lies above one half or there are no judgements.

    selection: the judgements that the rate counts, by default the study's default selection.
    """
    if rate.low is None or rate.high is None or rate.low > 0.5:
        return []
    run = round_.policy.run
    judged = _from_judgements(round_, rate, rate.high - rate.low, selection or default_selection(round_.study))
    return [*judged, *(_from_run(run) if run else ())]


def _from_judgements(round_: Round, rate: WinRate, width: float, selection: JudgementSelection) -> Iterator[str]:
    yield _(
        "Judgements: %(judgements)d; prompts: %(prompts)d. They tell a win rate to within %(half).2f: only one above "
        "%(least).2f could have been shown to be above one half."
    ) % {
        "judgements": rate.judgements, "prompts": rate.prompts, "half": width / 2, "least": min(1, 0.5 + width / 2),
    }  # fmt: skip
    pairs = _pairs(round_)
    if same := sum(mine == theirs for mine, theirs in pairs):
        message = ngettext(
            "In %(same)d of %(pairs)d pair both policies wrote the same words, so nobody could compare them.",
            "In %(same)d of %(pairs)d pairs both policies wrote the same words, so nobody could compare them.",
            len(pairs),
        )
        yield message % {"same": same, "pairs": len(pairs)}
    agrees = agreement(round_, selection)
    if agrees is None:
        return
    yield _(
        "The preference model orders %(now)s of this round's pairs as the raters do; on the held-out judgements that "
        "it was tested on, %(then)s."
    ) % {"now": _format_interval(agrees), "then": _accuracy(round_)}
    if agrees[1] <= 0.5:
        yield _("That is no better than guessing: it does not know what sets these texts apart.")


def _from_run(run: Run) -> Iterator[str]:
    """Yield the findings of the tuning run: its gain, why it stopped, its KL, and the similarity of its texts."""
    result: Mapping[str, Any] = run.result
    gain = _gain(run)
    if gain and gain[1] <= 0:
        yield _(
            "The reward itself rose by %(gain)s on the held-out prompts, which cannot be distinguished from zero: "
            "there was little left to win from this preference model."
        ) % {"gain": _format_interval(gain)}
    elif gain:
        yield _(
            "The reward rose by %(gain)s on the held-out prompts, and yet the raters do not prefer it: the preference "
            "model rewards what they do not."
        ) % {"gain": _format_interval(gain)}
    if why := stop_sentence(result):
        yield _("The run stopped at step %(step)d, and the checkpoint of step %(best)d was restored: %(why)s.") % {
            "step": result["steps"], "best": result["best_step"], "why": why,
        }  # fmt: skip
    before, after = result.get("before", {}), result.get("after", {})
    budget = run.config.get("max_kl") or 0.0
    if budget and after.get("kl", 0.0) > budget / 2:
        yield _("It used %(kl).1f of the %(budget)g nats that it was allowed.") % {"kl": after["kl"], "budget": budget}
    if after.get("kl", SMALL_KL) < SMALL_KL:
        yield _("It moved by %(kl).2f nats a response only: most of its texts are what they were.") % {
            "kl": after["kl"]
        }
    if after.get("self_bleu", 0.0) >= SIMILAR:
        yield _(
            "Its answers to different prompts are nearly alike (self-BLEU %(after).2f, before %(before).2f): among "
            "such samples tuning finds little to prefer."
        ) % {"after": after["self_bleu"], "before": before["self_bleu"]}


def agreement(round_: Round, selection: JudgementSelection) -> Interval | None:
    """Return the share of the round's judged pairs that the policy's preference model orders as most raters do, with
    its 95 % interval over prompts; None where it scored none of them (next_round scores them)."""
    judged = Judgement.objects.selected(selection).filter(task__round=round_, ranks__isnull=False)
    votes: dict[tuple[int, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for prompt, task, shown, ranks in judged.values_list("task__prompt", "task", "shown", "ranks"):
        for response, rank in zip(shown, ranks, strict=True):
            votes[prompt, task][response].append(rank)
    responses = {response for of_task in votes.values() for response in of_task}
    scored = ResponseReward.objects.filter(version=round_.preference, response__in=responses)
    rewards = dict(scored.values_list("response", "reward"))
    right: dict[int, list[float]] = defaultdict(list)
    for (prompt, _task), of_task in votes.items():
        (a, of_a), (b, of_b) = of_task.items()
        lead = sum(of_b) - sum(of_a)  # a smaller rank is better
        if lead and a in rewards and b in rewards:
            right[prompt].append(float((rewards[a] - rewards[b]) * lead > 0))
    return share_of_groups(list(right.values())).in_unit() if right else None


def _pairs(round_: Round) -> list[tuple[str, str]]:
    """Return the texts of both policies, paired as in next_round, including identical pairs."""
    sides: dict[int, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    written = Response.objects.filter(run=round_.tasks.values_list("responses__run", flat=True).first()).order_by("pk")
    for prompt, author, best_of, text in written.values_list("prompt", "author_model", "decoding__best_of", "text"):
        if author == round_.policy_id:
            sides[prompt][0].append(text)
        elif (best_of or 1) == round_.best_of:
            sides[prompt][1].append(text)
    return [pair for mine, theirs in sides.values() for pair in zip(mine, theirs, strict=False)]


def _gain(run: Run) -> Interval | None:
    """Return the mean gain in reward over the held-out prompts with its interval; None for fewer than five prompts."""
    rows = run.samples.exclude(before=None).values_list("before_reward", "reward")
    rises = [[after - before] for before, after in rows if before is not None and after is not None]
    rise = mean_of_groups(rises) if rises else NOTHING
    return (rise.value, *rise.interval) if rise.value is not None and rise.interval else None  # type: ignore[return-value]


def _accuracy(round_: Round) -> str:
    metrics = round_.preference.metrics if round_.preference else {}
    evaluation = metrics.get("evaluation")
    return f"{evaluation['accuracy']:.2f}" if evaluation else "–"


def _format_interval(interval: Interval) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*interval)
