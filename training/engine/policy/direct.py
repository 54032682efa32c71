"""The preference-direct family: DPO and KTO, which learn from a snapshot's judgements without sampling.

Every response is encoded once a step, in one row with the others to its prompt, whatever the number of pairs and votes
on it; votes enter as the share that a response won, not as a majority.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine import workers
from training.engine.objectives import dpo, kto
from training.engine.policy.actor import Actor
from training.engine.policy.config import PolicyConfig
from training.engine.policy.rollouts import dealt
from training.engine.policy.rows import Group
from training.engine.policy.state import State
from training.engine.records import Pair, Record, pairs_of


@dataclass(frozen=True)
class Question:
    """A prompt with its judged responses; pairs are of places in `responses`."""

    group: Group
    log_reference: Tensor  # (K,): of whole responses
    pairs: Tensor  # (M, 2)
    shares: Tensor  # (M,): the share of the votes that the first of the pair won
    weights: Tensor  # (M,): the votes on the pair
    liked: Tensor  # (K,): mean share of the votes that a response won over its pairs


class Direct:
    def __init__(
        self, actor: Actor, config: PolicyConfig, train: Sequence[Record], validation: Sequence[Record]
    ) -> None:
        """Raises ValueError when the training records compare no responses, or find none better than another."""
        self.actor, self.config = actor, config
        self.train = _questions(actor, pairs_of(train))
        self.validation = _questions(actor, pairs_of(validation))
        if not self.train:
            raise ValueError("the train split has judgements, but none compares two responses")
        if all(bool((question.shares == 0.5).all()) for question in self.train.values()):
            raise ValueError("all pairs of the train split are even: no response is better than another")
        liked = torch.cat([question.liked for question in self.train.values()])
        # Ethayarajh et al. 2024, sec. 4.2: the rarer kind counts for as much as the other.
        self.desirable_weight = float((liked < 0.5).sum() / (liked > 0.5).sum().clamp(min=1)) or 1.0

    def step(self, state: State) -> dict[str, float]:
        """One optimiser step on the judgements of some prompts. Returns the loss and how well they are ordered."""
        config = self.config
        torch.manual_seed(config.seed * 1_000_003 + state.step)
        count = min(config.prompts_per_step, len(self.train)) // workers.processes() * workers.processes()
        keys = workers.share(dealt(sorted(self.train), state.step, count, config.seed))
        chosen = [self.train[key] for key in keys]
        origin = self._origin(chosen) if config.algorithm == "kto" else torch.zeros(())
        parts = [self._loss(question, origin, len(chosen)) for question in chosen]
        figures = {
            "loss": sum(loss for loss, _ in parts) / len(chosen),
            "preference_accuracy": sum(right for _, right in parts) / len(chosen),
            **({"kl_origin": origin.item()} if config.algorithm == "kto" else {}),
            "grad_norm": self.actor.update(),
        }
        return workers.means(figures)

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """On the validation split: how often the policy's own ratio to its start orders a pair as the raters do."""
        right = [_ordered(q, self._log_ratios(q)) for q in self.validation.values()]
        return {"preference_accuracy": sum(right) / len(right)} if right else {}

    def _loss(self, question: Question, origin: Tensor, count: int) -> tuple[float, float]:
        """Adds the gradient of one prompt of `count`; returns its loss and the share of its pairs that are in order."""
        ratios = self._log_ratios(question)
        if self.config.algorithm == "dpo":
            difference = ratios[question.pairs[:, 0]] - ratios[question.pairs[:, 1]]
            loss = dpo(difference, question.shares, question.weights, self.config.direct_beta)
        else:
            decided = question.liked != 0.5
            if not decided.any():
                return 0.0, _ordered(question, ratios.detach())
            desirable = question.liked[decided] > 0.5
            weight = torch.where(desirable, self.desirable_weight, 1.0)
            loss = kto(ratios[decided], desirable, weight, origin, self.config.direct_beta)
        (loss / count).backward()
        return loss.item(), _ordered(question, ratios.detach())

    def _log_ratios(self, question: Question) -> Tensor:
        """log π(y|x) - log π_ref(y|x) of each response, (K,)."""
        width = max(map(len, question.group.responses))
        flat = torch.zeros(len(question.group.responses) * width)
        for rows in self.actor.passes.rows_of([question.group], width):
            flat = flat.index_put((rows.place,), self.actor.passes.over(rows).log_probs)
        return flat.view(-1, width).sum(dim=1) - question.log_reference

    @torch.no_grad()
    def _origin(self, chosen: Sequence[Question]) -> Tensor:
        """KTO's z: how far the policy is from its start on responses that belong to other prompts, at least 0."""
        strangers = [
            Group(question.group.prompt, [other.group.responses[0]])
            for question, other in zip(chosen, [*chosen[1:], chosen[0]], strict=True)
        ]
        width = max(len(group.responses[0]) for group in strangers)
        log_policy = self.actor.log_probs(strangers, width)
        log_reference = self.actor.reference_log_probs(strangers, width)
        return (log_policy - log_reference).sum(dim=1).mean().clamp(min=0)


def _questions(actor: Actor, pairs: Sequence[Pair]) -> dict[str, Question]:
    by_prompt: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_prompt.setdefault(pair.prompt_id, []).append(pair)
    return {key: _question(actor, of_prompt) for key, of_prompt in by_prompt.items()}


def _question(actor: Actor, pairs: Sequence[Pair]) -> Question:
    place: dict[str, int] = {}
    texts: list[str] = []
    for pair in pairs:
        for key, text in ((pair.a_id, pair.a), (pair.b_id, pair.b)):
            if key not in place:
                place[key] = len(texts)
                texts.append(text)
    group = Group(actor.prompt_ids(pairs[0].prompt), [actor.response_ids(text) for text in texts])
    width = max(map(len, group.responses))
    shares = torch.tensor([pair.share_a for pair in pairs])
    ends = torch.tensor([[place[pair.a_id], place[pair.b_id]] for pair in pairs])
    won, count = torch.zeros(2, len(texts))
    for column, share in ((0, shares), (1, 1 - shares)):
        won.index_add_(0, ends[:, column], share)
        count.index_add_(0, ends[:, column], torch.ones_like(share))
    return Question(
        group=group,
        log_reference=actor.reference_log_probs([group], width).sum(dim=1),
        pairs=ends,
        shares=shares,
        weights=torch.tensor([pair.votes_weight for pair in pairs]),
        liked=won / count,
    )


def _ordered(question: Question, ratios: Tensor) -> float:
    """The share of a prompt's pairs with a winner that the log-ratios put in the raters' order; ½ if it has none."""
    a, b = question.pairs.unbind(dim=1)
    decided = question.shares != 0.5
    agrees = (ratios[a] > ratios[b]) == (question.shares > 0.5)
    return agrees[decided].float().mean().item() if decided.any() else 0.5
