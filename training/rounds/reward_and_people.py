"""Summaries of rounds: the gain in reward of their policies, and their win rates."""

from dataclasses import dataclass

from annotate.models.selection import JudgementSelection
from annotate.models.studies import Study
from training.rounds.win_rate import WinRate, win_rates


@dataclass(frozen=True)
class RoundSummary:
    """A round's figures. gain: the difference in quality after and before tuning, None where unknown; rate: how often
    the selected raters prefer the policy to the one it was tuned from."""

    number: int
    policy: str
    gain: float | None
    rate: WinRate


def round_summaries(study: Study, selection: JudgementSelection) -> list[RoundSummary]:
    rounds = list(study.rounds.select_related("policy").order_by("number"))
    rates = win_rates(rounds, selection)
    return [
        RoundSummary(round_.number, str(round_.policy), _gain(round_.policy.metrics), rates[round_.pk])
        for round_ in rounds
    ]


def _gain(metrics: dict[str, dict[str, float]]) -> float | None:
    before, after = metrics.get("before") or {}, metrics.get("after") or {}
    return after["quality"] - before["quality"] if "quality" in before and "quality" in after else None
