"""How standings came about: strengths as votes arrived, and the promoted policies' reward beside people's word."""

from dataclasses import dataclass

import numpy as np

from annotate.judgements.comparisons import Floats
from annotate.judgements.selection import JudgementSelection
from annotate.quality.win_rate import WinRate, win_rate
from annotate.standings.ranking.online import Online
from annotate.standings.ranking.votes import Votes
from annotate.studies.models import Study

MOMENTS = 12


@dataclass(frozen=True)
class Moment:
    """Strengths and their standard deviations (n,) after so many comparisons, the last at this time."""

    at: float
    comparisons: int
    strengths: Floats
    spread: Floats


def as_they_came(votes: Votes, at: Floats, online: Online, moments: int = MOMENTS) -> list[Moment]:
    """The online strengths after each of `moments` equal shares of the votes, in the order of time.

    at (V,): when each vote was cast, seconds since 1970. online: of the same items, without a vote yet.
    """
    if not len(votes):
        return []
    order = np.argsort(at, kind="stable")
    found: list[Moment] = []
    for share in np.array_split(order, min(moments, len(order))):
        online.add(votes[share])
        centred = online.strengths - online.strengths.mean()
        before = found[-1].comparisons if found else 0
        found.append(Moment(float(at[share[-1]]), before + len(share), centred, online.spread))
    return found


@dataclass(frozen=True)
class Turn:
    """A round: how much its policy gained by the preference model (quality from 0 to 1, after minus before tuning;
    None where that is not known), and how often the selected raters prefer it to the policy it was tuned from."""

    number: int
    policy: str
    gain: float | None
    rate: WinRate


def turns(study: Study, selection: JudgementSelection) -> list[Turn]:
    rounds = study.rounds.select_related("policy").order_by("number")
    return [
        Turn(turn.number, str(turn.policy), _gain(turn.policy.metrics), win_rate(turn, selection)) for turn in rounds
    ]


def _gain(metrics: dict[str, dict[str, float]]) -> float | None:
    before, after = metrics.get("before") or {}, metrics.get("after") or {}
    return after["quality"] - before["quality"] if "quality" in before and "quality" in after else None
