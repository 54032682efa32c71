"""Rounds by what their policies gained in reward and what raters say of them."""

from dataclasses import dataclass

from annotate.models.selection import JudgementSelection
from annotate.models.studies import Study
from training.rounds.win_rate import WinRate, win_rates


@dataclass(frozen=True)
class RoundSummary:
    """A round: how much its policy gained by the preference model (quality from 0 to 1, after minus before tuning;
    None where that is not known), and how often the selected raters prefer it to the policy it was tuned from."""

    number: int
    policy: str
    gain: float | None
    rate: WinRate


def round_summaries(study: Study, selection: JudgementSelection) -> list[RoundSummary]:
    rounds = list(study.rounds.select_related("policy").order_by("number"))
    rates = win_rates(rounds, selection)
    return [RoundSummary(turn.number, str(turn.policy), _gain(turn.policy.metrics), rates[turn.pk]) for turn in rounds]


def _gain(metrics: dict[str, dict[str, float]]) -> float | None:
    before, after = metrics.get("before") or {}, metrics.get("after") or {}
    return after["quality"] - before["quality"] if "quality" in before and "quality" in after else None
