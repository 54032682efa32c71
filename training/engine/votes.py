"""What raters say of two responses, given their rewards: ties, reliability of each rater, pull of the first place.

The parameters here are learned with the rewards and dropped afterwards: they explain the votes, not the texts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine.losses import crowd_log_probs, davidson_log_probs, davidson_luce, rao_kupper_log_probs, smoothed
from training.engine.records import Pair, Ranking

Item = tuple[str, str]  # a prompt and a response
TIES = ("davidson", "rao-kupper", "half")
# Before the votes are seen: raters are right in 0.9 of their votes, with a spread of 1 in log odds.
MOST_TIED = 10
USUAL, SPREAD = math.log(0.9 / 0.1), 1.0


@dataclass(frozen=True)
class VoteOptions:
    """How votes are read.

    ties: Davidson's model, Rao and Kupper's, or half a win for each side. reliability: learn how often each rater
    is right. position: learn how much the response shown first is favoured. smoothing: labels drawn towards one
    half. margin: how much further apart each step of strength puts two rewards (Touvron et al. 2023, eq. 2).
    by_prompt: each prompt counts the same, however many votes it has. whole_rankings: three or more responses that
    were ranked together are one observation (Firth, Kosmidis & Turner 2019) instead of pairs.
    """

    ties: str = "davidson"
    reliability: bool = False
    position: bool = False
    smoothing: float = 0.0
    margin: float = 0.0
    by_prompt: bool = False
    whole_rankings: bool = False


@dataclass(frozen=True)
class Votes:
    """V votes on P pairs as tensors (V,): the pair's place, 1 for a, 0 for b and 0.5 for a tie, +1 where a was shown
    first and -1 where b was, the rater's number (0 for unknown ones), strength - 1 signed by the winner, weight."""

    pair: Tensor
    outcome: Tensor
    first: Tensor
    rater: Tensor
    strength: Tensor
    weight: Tensor


class VoteModel(torch.nn.Module):
    """The likelihood of votes. raters: those whose reliability is learned; votes: the total weight in training."""

    def __init__(self, options: VoteOptions, raters: Sequence[str], votes: float) -> None:
        super().__init__()
        if options.ties not in TIES:
            raise ValueError(f"ties: expected {', '.join(TIES)}, not {options.ties!r}")
        self.options, self.total = options, votes
        self.number = {rater: n for n, rater in enumerate(raters, start=1)}
        self.tie = torch.nn.Parameter(torch.tensor(-1.0))
        self.first = torch.nn.Parameter(torch.zeros(()))
        self.usual = torch.nn.Parameter(torch.tensor(USUAL))
        self.rater = torch.nn.Parameter(torch.zeros(len(raters) + 1))
        # Ties of 2 to MOST_TIED responses in a whole ranking.
        self.ties = torch.nn.Parameter(torch.full((MOST_TIED - 1,), -1.0))

    def reliability(self) -> dict[str, float]:
        """Each rater's probability to say what a reliable rater would, shrunk towards the usual one."""
        alpha = torch.sigmoid(self.usual + self.rater).tolist()
        return {rater: alpha[n] for rater, n in self.number.items()}

    def forward(
        self, rewards: Tensor, place: Mapping[Item, int], pairs: Sequence[Pair], rankings: Sequence[Ranking] = ()
    ) -> Tensor:
        """Mean negative log-likelihood a vote, prior included.

        rewards: (N,); place: where each (prompt, response) stands among them. A ranking of K weighs as K - 1 votes.
        """
        loss, weight = rewards.new_zeros(()), 0.0
        votes = self.tensors(pairs)
        if len(votes.pair):
            a = rewards[[place[pair.prompt, pair.a] for pair in pairs]]
            b = rewards[[place[pair.prompt, pair.b] for pair in pairs]]
            loss, weight = self._votes((a - b)[votes.pair], votes), float(votes.weight.sum())
        for k in {len(ranking.ranks) for ranking in rankings}:
            same = [ranking for ranking in rankings if len(ranking.ranks) == k]
            places = torch.tensor([[place[r.prompt, text] for text in r.responses] for r in same])
            ranks = torch.tensor([r.ranks for r in same])
            loss = loss + davidson_luce(rewards[places], ranks, self.ties[: k - 1]) * len(same)
            weight += (k - 1) * len(same)
        return loss / max(weight, 1e-9) + self._prior() / self.total

    def _votes(self, d: Tensor, votes: Votes) -> Tensor:
        """The summed negative log-likelihood of votes with these differences (V,)."""
        if self.options.position:
            d = d + self.first * votes.first
        log_a, log_b, log_tie = self._said(d - self.options.margin * votes.strength, votes)
        target = smoothed(votes.outcome, self.options.smoothing)
        said = target * log_a + (1 - target) * log_b
        if self.options.ties != "half":
            said = torch.where(votes.outcome == 0.5, log_tie, said)
        return -(votes.weight * said).sum()

    def _said(self, d: Tensor, votes: Votes) -> tuple[Tensor, Tensor, Tensor]:
        if self.options.ties == "rao-kupper":
            said = rao_kupper_log_probs(d, torch.nn.functional.softplus(self.tie))
        else:
            nothing = torch.tensor(-math.inf) if self.options.ties == "half" else self.tie
            said = davidson_log_probs(d, nothing)
        if not self.options.reliability:
            return said
        alpha = torch.sigmoid(self.usual + self.rater[votes.rater])
        return crowd_log_probs(said, alpha)

    def _prior(self) -> Tensor:
        """Negative log of normal priors, up to a constant: of raters, the usual rater, and the first place."""
        spread = (self.rater**2).sum() + (self.usual - USUAL) ** 2
        return spread / (2 * SPREAD**2) + self.first**2 / 2

    def tensors(self, pairs: Sequence[Pair]) -> Votes:
        """The votes of the pairs, which are numbered as they come."""
        shares = _prompt_weights(pairs) if self.options.by_prompt else {}
        rows = [
            (
                place,
                vote.outcome,
                1.0 if vote.a_first else -1.0,
                self.number.get(vote.rater, 0),
                max(0, vote.strength - 1) * (2 * vote.outcome - 1),
                vote.weight * shares.get(pair.prompt_id, 1.0),
            )
            for place, pair in enumerate(pairs)
            for vote in pair.votes
            if not (self.options.whole_rankings and vote.k > 2)
        ]
        columns = zip(*rows, strict=True) if rows else [()] * 6
        pair, outcome, first, rater, strength, weight = columns
        return Votes(
            pair=torch.tensor(pair, dtype=torch.long),
            outcome=torch.tensor(outcome),
            first=torch.tensor(first),
            rater=torch.tensor(rater, dtype=torch.long),
            strength=torch.tensor(strength),
            weight=torch.tensor(weight),
        )


def _prompt_weights(pairs: Sequence[Pair]) -> dict[str, float]:
    """For each prompt, one over the weight of its votes."""
    totals: dict[str, float] = {}
    for pair in pairs:
        totals[pair.prompt_id] = totals.get(pair.prompt_id, 0.0) + sum(vote.weight for vote in pair.votes)
    return {prompt: 1 / total for prompt, total in totals.items()}


def raters_of(pairs: Sequence[Pair]) -> list[str]:
    return sorted({vote.rater for pair in pairs for vote in pair.votes})


def weight_of(pairs: Sequence[Pair]) -> float:
    return sum(vote.weight for pair in pairs for vote in pair.votes)
