"""The likelihood of votes on two or more responses given their rewards: ties, reliability, strength, position bias.

The parameters are learned together with the rewards and dropped afterwards: they explain the votes, not the texts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.records import Pair, Vote
from training.engine.data.observations import Group, Item, Ranking
from training.engine.objectives.losses import (
    crowd_log_probs,
    davidson_log_probs,
    davidson_luce,
    smoothed,
)

TIES = ("davidson", "half")
# Ties of up to this many responses in one whole ranking.
MAX_TIED = 10
# The prior: raters are right in 0.9 of their votes, with a standard deviation of 1 in log odds.
MEAN_LOG_ODDS, SPREAD = math.log(0.9 / 0.1), 1.0


@dataclass(frozen=True)
class VoteOptions:
    """How votes are read.

    ties: Davidson's model, Rao and Kupper's, or half a win for each side. reliability: learn how often each rater
    is right. position: learn how much the response shown first is favoured. label_smoothing: labels drawn towards one
    half. margin: how much further apart each step of strength puts two rewards (Touvron et al. 2023, eq. 2).
    by_prompt: each prompt counts the same, however many votes it has. whole_rankings: three or more responses that
    were ranked together are one observation (Firth, Kosmidis & Turner 2019) instead of pairs. majority: only the
    majority's answer on a pair counts, once, as trainers that know no raters read it.
    """

    ties: str = "davidson"
    reliability: bool = False
    position: bool = False
    label_smoothing: float = 0.0
    margin: float = 0.0
    by_prompt: bool = False
    whole_rankings: bool = False
    majority: bool = False


@dataclass(frozen=True)
class Votes:
    """V votes as tensors (V,): places of a and b among the items, 1 for a, 0 for b and 0.5 for a tie, +1 where a was
    shown first, -1 where b was and 0 where nobody knows, the rater's number (0 for unknown ones), strength - 1 signed
    by the winner, weight.
    Whole rankings by their number of responses K: places (R, K), ranks (R, K), weights (R,)."""

    a: Tensor
    b: Tensor
    outcome: Tensor
    shown_first: Tensor
    rater: Tensor
    strength: Tensor
    weight: Tensor
    rankings: list[tuple[Tensor, Tensor, Tensor]]

    @property
    def total(self) -> float:
        """The weight of all; a ranking of K weighs as K - 1 votes."""
        return float(self.weight.sum()) + sum(float(w.sum()) * (r.shape[1] - 1) for _, r, w in self.rankings)


class VoteModel(torch.nn.Module):
    """The likelihood of votes. raters: those whose reliability is learned."""

    def __init__(self, options: VoteOptions, raters: Sequence[str]) -> None:
        super().__init__()
        if options.ties not in TIES:
            raise ValueError(f"ties: expected {', '.join(TIES)}, not {options.ties!r}")
        self.options = options
        self.number = {rater: n for n, rater in enumerate(raters, start=1)}
        self.tie = torch.nn.Parameter(torch.tensor(-1.0))
        self.position_bias = torch.nn.Parameter(torch.zeros(()))
        self.mean_reliability = torch.nn.Parameter(torch.tensor(MEAN_LOG_ODDS))
        self.rater = torch.nn.Parameter(torch.zeros(len(raters) + 1))
        self.ties = torch.nn.Parameter(torch.full((MAX_TIED - 1,), -1.0))

    def reliability(self) -> dict[str, float]:
        """Return each rater's probability of agreeing with a reliable rater, shrunk towards the mean."""
        alpha = torch.sigmoid(self.mean_reliability + self.rater).tolist()
        return {rater: alpha[n] for rater, n in self.number.items()}

    def trust(self) -> dict[str, float]:
        """Return the information in each rater's votes: 2α - 1, the slope of the probability of choosing a against that
        of a reliable rater (losses.crowd_log_probs), and 0 for an α below one half."""
        return {rater: max(0.0, 2 * alpha - 1) for rater, alpha in self.reliability().items()}

    def forward(self, rewards: Tensor, votes: Votes) -> Tensor:
        """Return the summed negative log-likelihood of the votes given the rewards (N,) of the items."""
        loss = self._pairs(rewards[votes.a] - rewards[votes.b], votes)
        for places, ranks, weights in votes.rankings:
            largest = min(ranks.shape[1], MAX_TIED)
            loss = loss + (weights * davidson_luce(rewards[places], ranks, self.ties[: largest - 1])).sum()
        return loss

    def prepare(self, groups: Sequence[Group], place: Mapping[Item, int]) -> Votes:
        """Return the votes of the groups. place: the index of each item among the rewards."""
        pairs = [pair for group in groups for pair in group.pairs]
        shares = _prompt_weights(pairs) if self.options.by_prompt else {}
        rows = [
            (place[pair.prompt, pair.a], place[pair.prompt, pair.b], *row, weight * shares.get(pair.prompt_id, 1.0))
            for pair in pairs
            for *row, weight in self._rows(pair)
        ]
        a, b, outcome, first, rater, strength, weight = zip(*rows, strict=True) if rows else [()] * 7
        rankings = [r for group in groups for r in group.rankings] if self.options.whole_rankings else []
        return Votes(
            a=torch.tensor(a, dtype=torch.long),
            b=torch.tensor(b, dtype=torch.long),
            outcome=torch.tensor(outcome, dtype=torch.float32),
            shown_first=torch.tensor(first, dtype=torch.float32),
            rater=torch.tensor(rater, dtype=torch.long),
            strength=torch.tensor(strength, dtype=torch.float32),
            weight=torch.tensor(weight, dtype=torch.float32),
            rankings=_stacked(rankings, place),
        )

    @torch.no_grad()
    def share(self, d: Tensor) -> Tensor:
        """Return the share of reliable votes for a at these differences (N,), with ties as half."""
        log_a, _, log_tie = self._reliable(d)
        return log_a.exp() + log_tie.exp() / 2

    def prior(self) -> Tensor:
        """Return the negative log of the normal priors, up to a constant: of raters, their mean, and position bias."""
        spread = (self.rater**2).sum() + (self.mean_reliability - MEAN_LOG_ODDS) ** 2
        return spread / (2 * SPREAD**2) + self.position_bias**2 / 2

    def _pairs(self, d: Tensor, votes: Votes) -> Tensor:
        """The summed negative log-likelihood of votes with these differences (V,)."""
        if self.options.position:
            d = d + self.position_bias * votes.shown_first
        log_a, log_b, log_tie = self._rater_log_probs(d - self.options.margin * votes.strength, votes)
        target = smoothed(votes.outcome, self.options.label_smoothing)
        observations = target * log_a + (1 - target) * log_b
        if self.options.ties != "half":
            observations = torch.where(votes.outcome == 0.5, log_tie, observations)
        return -(votes.weight * observations).sum()

    def _reliable(self, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        nothing = torch.tensor(-math.inf) if self.options.ties == "half" else self.tie
        return davidson_log_probs(d, nothing)

    def _rater_log_probs(self, d: Tensor, votes: Votes) -> tuple[Tensor, Tensor, Tensor]:
        observations = self._reliable(d)
        if not self.options.reliability:
            return observations
        alpha = torch.sigmoid(self.mean_reliability + self.rater[votes.rater])
        return crowd_log_probs(observations, alpha)

    def _rows(self, pair: Pair) -> list[tuple[float, float, int, float, float]]:
        """(outcome, first, rater, strength, weight) of each vote on a pair."""
        if self.options.majority:
            return [(float(pair.margin > 0), 0.0, 0, 0.0, 1.0)] if pair.margin else []
        return [
            (
                vote.outcome,
                0.0 if vote.a_first is None else 1.0 if vote.a_first else -1.0,
                self.number.get(vote.rater, 0),
                max(0, vote.strength - 1) * (2 * vote.outcome - 1),
                vote.weight,
            )
            for vote in pair.votes
            if not (self.options.whole_rankings and vote.ranked)
        ]


def _prompt_weights(pairs: Sequence[Pair]) -> dict[str, float]:
    """For each prompt, one over the weight of its votes."""
    totals: dict[str, float] = {}
    for pair in pairs:
        totals[pair.prompt_id] = totals.get(pair.prompt_id, 0.0) + sum(vote.weight for vote in pair.votes)
    return {prompt: 1 / total for prompt, total in totals.items()}


def _stacked(rankings: Sequence[Ranking], place: Mapping[Item, int]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The rankings of each number of responses as places, ranks and weights."""
    stacks = []
    for k in sorted({len(ranking.ranks) for ranking in rankings}):
        same = [ranking for ranking in rankings if len(ranking.ranks) == k]
        places = torch.tensor([[place[item] for item in ranking.items] for ranking in same])
        ranks = torch.tensor([ranking.ranks for ranking in same])
        stacks.append((places, ranks, torch.tensor([ranking.weight for ranking in same])))
    return stacks


def reweighted(pair: Pair, trust: Mapping[str, float]) -> Pair:
    """Return the pair with each vote weighted by its rater's weight, by default 1."""

    def weighted(vote: Vote) -> Vote:
        share = trust.get(vote.rater, 1.0)
        return replace(vote, weight=vote.weight * share, votes=vote.votes * share)

    return replace(pair, votes=[weighted(vote) for vote in pair.votes])


def raters_of(groups: Sequence[Group]) -> list[str]:
    """Return all raters who voted on a pair of the groups."""
    return sorted({vote.rater for group in groups for pair in group.pairs for vote in pair.votes})
