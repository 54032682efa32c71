"""Why raters do not prefer a round's policy to the one before it, in plain words, each with the figures that say so."""

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

ALIKE = 0.9  # self-BLEU of texts that say nearly the same
NEAR = 0.5  # nats a response within which most texts are what they were

Interval = tuple[float, float, float]


def why_not(turn: Round, rate: WinRate, selection: JudgementSelection | None = None) -> list[str]:
    """Nothing where the whole interval lies above one half, or before the first judgement.

    selection: the judgements that the rate counts; the study's usual ones without.
    """
    if rate.low is None or rate.high is None or rate.low > 0.5:
        return []
    run = turn.policy.run
    judged = _from_judgements(turn, rate, rate.high - rate.low, selection or default_selection(turn.study))
    return [*judged, *(_from_run(run) if run else ())]


def _from_judgements(turn: Round, rate: WinRate, width: float, selection: JudgementSelection) -> Iterator[str]:
    yield _(
        "Judgements: %(judgements)d; prompts: %(prompts)d. They tell a win rate to within %(half).2f: only one above "
        "%(least).2f could have been shown to be above one half."
    ) % {
        "judgements": rate.judgements, "prompts": rate.prompts, "half": width / 2, "least": min(1, 0.5 + width / 2),
    }  # fmt: skip
    pairs = _pairs(turn)
    if same := sum(mine == theirs for mine, theirs in pairs):
        said = ngettext(
            "In %(same)d of %(pairs)d pair both policies wrote the same words, so nobody could compare them.",
            "In %(same)d of %(pairs)d pairs both policies wrote the same words, so nobody could compare them.",
            len(pairs),
        )
        yield said % {"same": same, "pairs": len(pairs)}
    agrees = agreement(turn, selection)
    if agrees is None:
        return
    yield _(
        "The preference model orders %(now)s of this round's pairs as the raters do; on the held-out judgements that "
        "it was tested on, %(then)s."
    ) % {"now": _told(agrees), "then": _accuracy(turn)}
    if agrees[1] <= 0.5:
        yield _("That cannot be told from guessing: it does not know what sets these texts apart.")


def _from_run(run: Run) -> Iterator[str]:
    """What the tuning itself tells: what it won, whether it was stopped, how far it went, how alike its texts are."""
    result: Mapping[str, Any] = run.result
    gain = _gain(run)
    if gain and gain[1] <= 0:
        yield _(
            "The reward itself rose by %(gain)s on the held-out prompts, which cannot be told from nothing: there was "
            "little left to win from this preference model."
        ) % {"gain": _told(gain)}
    elif gain:
        yield _(
            "The reward rose by %(gain)s on the held-out prompts, and yet the raters do not prefer it: the preference "
            "model rewards what they do not."
        ) % {"gain": _told(gain)}
    if why := stop_sentence(result):
        yield _("The run stopped at step %(step)d, and the checkpoint of step %(best)d was restored: %(why)s.") % {
            "step": result["steps"], "best": result["best_step"], "why": why,
        }  # fmt: skip
    before, after = result.get("before", {}), result.get("after", {})
    budget = run.config.get("max_kl") or 0.0
    if budget and after.get("kl", 0.0) > budget / 2:
        yield _("It used %(kl).1f of the %(budget)g nats that it was allowed.") % {"kl": after["kl"], "budget": budget}
    if after.get("kl", NEAR) < NEAR:
        yield _("It moved by %(kl).2f nats a response only: most of its texts are what they were.") % {
            "kl": after["kl"]
        }
    if after.get("self_bleu", 0.0) >= ALIKE:
        yield _(
            "Its answers to different prompts are nearly alike (self-BLEU %(after).2f, before %(before).2f): among "
            "such samples tuning finds little to prefer."
        ) % {"after": after["self_bleu"], "before": before["self_bleu"]}


def agreement(turn: Round, selection: JudgementSelection) -> Interval | None:
    """How many of the round's judged pairs the preference model of the policy orders as most of their raters do, with
    its 95 % interval over prompts; None where it scored none of them (next_round does)."""
    judged = Judgement.objects.selected(selection).filter(task__round=turn, ranks__isnull=False)
    votes: dict[tuple[int, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for prompt, task, shown, ranks in judged.values_list("task__prompt", "task", "shown", "ranks"):
        for response, rank in zip(shown, ranks, strict=True):
            votes[prompt, task][response].append(rank)
    responses = {response for of_task in votes.values() for response in of_task}
    scored = ResponseReward.objects.filter(version=turn.preference, response__in=responses)
    rewards = dict(scored.values_list("response", "reward"))
    right: dict[int, list[float]] = defaultdict(list)
    for (prompt, _task), of_task in votes.items():
        (a, of_a), (b, of_b) = of_task.items()
        lead = sum(of_b) - sum(of_a)  # a smaller rank is better
        if lead and a in rewards and b in rewards:
            right[prompt].append(float((rewards[a] - rewards[b]) * lead > 0))
    return share_of_groups(list(right.values())).in_unit() if right else None


def _pairs(turn: Round) -> list[tuple[str, str]]:
    """What both sides of the round wrote, text beside text as next_round pairs them, the same words included."""
    sides: dict[int, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    written = Response.objects.filter(run=turn.tasks.values_list("responses__run", flat=True).first()).order_by("pk")
    for prompt, author, best_of, text in written.values_list("prompt", "author_model", "decoding__best_of", "text"):
        if author == turn.policy_id:
            sides[prompt][0].append(text)
        elif (best_of or 1) == turn.best_of:
            sides[prompt][1].append(text)
    return [pair for mine, theirs in sides.values() for pair in zip(mine, theirs, strict=False)]


def _gain(run: Run) -> Interval | None:
    """By how much the reward rose from before to after, a mean over the held-out prompts; None for fewer than five."""
    rows = run.samples.exclude(before=None).values_list("before_reward", "reward")
    rises = [[after - before] for before, after in rows if before is not None and after is not None]
    rise = mean_of_groups(rises) if rises else NOTHING
    return (rise.value, *rise.interval) if rise.value is not None and rise.interval else None  # type: ignore[return-value]


def _accuracy(turn: Round) -> str:
    metrics = turn.preference.metrics if turn.preference else {}
    evaluation = metrics.get("evaluation")
    return f"{evaluation['accuracy']:.2f}" if evaluation else "–"


def _told(interval: Interval) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*interval)
