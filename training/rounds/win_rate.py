"""The blind win rate of a round's policy against the policy it was paired with."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F

from annotate.analytics.selection import default_selection
from annotate.models.judgements import Judgement
from annotate.models.selection import JudgementSelection
from annotate.models.tasks import TaskResponse
from core.statistics.bootstrap import share_of_groups
from training.models import Round


@dataclass(frozen=True)
class WinRate:
    """The mean of 1 for a win, 0.5 for a tie, 0 for a loss, with a 95 % bootstrap interval by prompt: 0 to 1 for fewer
    than five prompts, which tell too little of others.

    value, low and high are None while there are no judgements.
    """

    value: float | None
    low: float | None
    high: float | None
    wins: int
    ties: int
    losses: int
    prompts: int

    @property
    def judgements(self) -> int:
        return self.wins + self.ties + self.losses


def win_rate(round_: Round, selection: JudgementSelection | None = None) -> WinRate:
    """Return the win rate of a round's policy from the selected judgements, by default the study's default
    selection."""
    return win_rates([round_], selection or default_selection(round_.study))[round_.pk]


def win_rates(rounds: Sequence[Round], selection: JudgementSelection) -> dict[int, WinRate]:
    """Return the win rates of the rounds' policies by round, from the selected judgements, with two queries in
    total."""
    judgements = Judgement.objects.selected(selection).filter(task__round__in=rounds, ranks__isnull=False)
    written = TaskResponse.objects.filter(task__round__in=rounds, response__author_model=F("task__round__policy"))
    mine: dict[int, set[int]] = defaultdict(set)
    for round_, response in written.order_by().values_list("task__round", "response"):
        mine[round_].add(response)
    outcomes: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for round_, prompt, shown, ranks in judgements.values_list("task__round", "task__prompt", "shown", "ranks"):
        outcomes[round_][prompt].append(_outcome(shown, ranks, mine[round_]))
    return {round_.pk: from_outcomes(list(outcomes[round_.pk].values())) for round_ in rounds}


def _outcome(shown: Sequence[int], ranks: Sequence[int], mine: set[int]) -> float:
    own = next(rank for response, rank in zip(shown, ranks, strict=True) if response in mine)
    other = next(rank for response, rank in zip(shown, ranks, strict=True) if response not in mine)
    return 0.5 if own == other else float(own < other)


def from_outcomes(outcomes: Sequence[Sequence[float]]) -> WinRate:
    """Return the win rate of outcomes (1, 0.5 or 0) given prompt by prompt."""
    flat = [outcome for of_prompt in outcomes for outcome in of_prompt]
    counts = {"wins": flat.count(1.0), "ties": flat.count(0.5), "losses": flat.count(0.0), "prompts": len(outcomes)}
    if not flat:
        return WinRate(None, None, None, **counts)
    return WinRate(*share_of_groups(outcomes).in_unit(), **counts)
