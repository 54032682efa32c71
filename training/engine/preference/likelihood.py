"""The likelihood of all observations given a model's outputs: votes on the reward, scores on the criteria,
penalties."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine.data.observations import Group, Item, places
from training.engine.models.reward import LENGTH, Settings
from training.engine.objectives.losses import centre_penalty, correlation
from training.engine.objectives.scores import ScoreModel, ScoreOptions, Scores
from training.engine.objectives.votes import VoteModel, VoteOptions, Votes, raters_of

# Each head of an ensemble leaves out one in this many pairs, different ones for each head.
LEFT_OUT = 5


@dataclass(frozen=True)
class Observations:
    """Observations of items: the votes and scores of each ensemble member, and the items' lengths."""

    members: list[tuple[Votes, list[Scores]]]
    log_length: Tensor  # (N,)

    @property
    def total(self) -> float:
        """The total weight of the observations of one member."""
        return sum(v.total + sum(float(s.weight.sum()) for s in scores) for v, scores in self.members) / len(
            self.members
        )


class Likelihood(torch.nn.Module):
    """The loss of a model. groups: the training data, whose raters and scales are learned; center_rewards_coefficient:
    weight of the mean squared reward; debias: weight of the correlation of reward and length (Chen et al. 2024, ODIN,
    eq. 5)."""

    weights: Tensor
    training_weights: Tensor

    def __init__(
        self,
        settings: Settings,
        groups: Sequence[Group],
        votes: VoteOptions,
        scores: ScoreOptions,
        *,
        center_rewards_coefficient: float = 0.0,
        debias: float = 0.0,
    ) -> None:
        super().__init__()
        self.settings, self.center_rewards_coefficient, self.debias = settings, center_rewards_coefficient, debias
        self.votes = VoteModel(votes, raters_of(groups) if votes.reliability else [])
        column = {name: n for n, name in enumerate(settings.outputs)}
        self.scores = ScoreModel(scores, column, [score for group in groups for score in group.scores])
        # During training the reward of a debiased model has a separate length component, which is dropped afterwards.
        training = [1.0 if name == LENGTH else w for name, w in zip(settings.outputs, settings.weights, strict=True)]
        self.register_buffer("training_weights", torch.tensor(training))
        self.register_buffer("weights", torch.tensor(settings.weights))
        self.total = self.prepare(groups, [item for group in groups for item in group.items]).total

    def prepare(self, groups: Sequence[Group], items: Sequence[Item], *, whole: bool = False) -> Observations:
        """Return the observations as tensors. whole: no head leaves anything out, as in validation."""
        place = places(items)
        members = [
            (self.votes.prepare(part, place), self.scores.prepare(part, place))
            for part in (
                groups if whole or self.settings.heads == 1 else _without(groups, head)
                for head in range(self.settings.heads)
            )
        ]
        return Observations(members, torch.tensor([len(response) for _, response in items]).float().log1p())

    def forward(self, outputs: Tensor, observations: Observations) -> Tensor:
        """Return the mean loss per observation, including penalties and priors. outputs: (N, M, H) of the items."""
        loss = self.observed(outputs, observations, self.training_weights)
        loss = loss + (self.votes.prior() + self.scores.prior()) / max(self.total, 1.0)
        rewards = outputs @ self.weights  # (N, M)
        if self.center_rewards_coefficient:
            loss = loss + self.center_rewards_coefficient * centre_penalty(rewards.flatten())
        if self.debias:
            of_length = outputs[:, :, self.settings.outputs.index(LENGTH)]
            for member in range(outputs.shape[1]):
                with_length = correlation(rewards[:, member], observations.log_length).abs()
                loss = loss + self.debias * (with_length - correlation(of_length[:, member], observations.log_length))
        return loss

    def observed(self, outputs: Tensor, observations: Observations, weights: Tensor | None = None) -> Tensor:
        """Return the mean negative log-likelihood per observation."""
        rewards = outputs @ (self.weights if weights is None else weights)  # (N, M)
        loss = outputs.new_zeros(())
        for member, (votes, scores) in enumerate(observations.members):
            loss = loss + self.votes(rewards[:, member], votes) + self.scores(outputs[:, member], scores)
        return loss / max(observations.total * len(observations.members), 1e-9)


def _without(groups: Sequence[Group], head: int) -> list[Group]:
    """Return the groups without the pairs that this head leaves out."""
    return [
        Group(
            items=group.items,
            pairs=[
                pair
                for pair in group.pairs
                if zlib.crc32(f"{pair.a_id} {pair.b_id}".encode()) % LEFT_OUT != head % LEFT_OUT
            ],
            rankings=group.rankings,
            scores=group.scores,
        )
        for group in groups
    ]
