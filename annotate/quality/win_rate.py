"""How often the policy of a round beats the one it was paired with, judged blind."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from annotate.judgements.models import Judgement
from annotate.judgements.selection import JudgementSelection, default_selection
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


def win_rate(turn: Round, selection: JudgementSelection | None = None) -> WinRate:
    """The win rate of a round's policy from the judgements of the selection; without one, the study's usual ones."""
    selection = selection or default_selection(turn.study)
    judgements = Judgement.objects.selected(selection).filter(task__round=turn, ranks__isnull=False)
    mine = set(turn.policy.responses.filter(places__task__round=turn).values_list("pk", flat=True))
    outcomes: dict[int, list[float]] = defaultdict(list)
    for prompt, shown, ranks in judgements.values_list("task__prompt", "shown", "ranks"):
        outcomes[prompt].append(_outcome(shown, ranks, mine))
    return from_outcomes(list(outcomes.values()))


def _outcome(shown: Sequence[int], ranks: Sequence[int], mine: set[int]) -> float:
    own = next(rank for response, rank in zip(shown, ranks, strict=True) if response in mine)
    other = next(rank for response, rank in zip(shown, ranks, strict=True) if response not in mine)
    return 0.5 if own == other else float(own < other)


def from_outcomes(outcomes: Sequence[Sequence[float]]) -> WinRate:
    """The win rate of outcomes (1, 0.5 or 0) given prompt by prompt."""
    flat = [outcome for of_prompt in outcomes for outcome in of_prompt]
    counts = {"wins": flat.count(1.0), "ties": flat.count(0.5), "losses": flat.count(0.0), "prompts": len(outcomes)}
    if not flat:
        return WinRate(None, None, None, **counts)
    return WinRate(*share_of_groups(outcomes).in_unit(), **counts)
