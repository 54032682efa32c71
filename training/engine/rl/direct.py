"""DPO and KTO, which learn directly from a snapshot's judgements without sampling.

Each response is encoded once per step, together with the other responses to its prompt, whatever the number of its
pairs and votes; votes enter as the share that a response won, not as a majority.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.records import Labelled, Pair, Record, labels_of, pairs_of
from training.engine.data.formatting import truncation
from training.engine.generation.decoding import TOLERANCE
from training.engine.generation.rows import Group
from training.engine.objectives.policy import dpo, kto
from training.engine.rl.actor import Actor
from training.engine.rl.config import PolicyConfig
from training.engine.rl.rollouts import shuffled_batch
from training.engine.rl.state import State
from training.engine.runtime import distributed
from training.engine.runtime.numerics import check_finite


@dataclass(frozen=True)
class Question:
    """A prompt with its judged responses; pairs are indices into `group.responses`."""

    group: Group
    log_reference: Tensor  # (K,): log-probabilities of whole responses
    pairs: Tensor  # (M, 2)
    shares: Tensor  # (M,): the share of the votes that the first response of the pair won
    weights: Tensor  # (M,): the number of votes on the pair
    liked: Tensor  # (K,): a response's label, or without one its mean share of the votes over its pairs
    truncated: int  # responses truncated, or with a truncated prompt


class Direct:
    def __init__(
        self, actor: Actor, config: PolicyConfig, train: Sequence[Record], validation: Sequence[Record]
    ) -> None:
        """Raise ValueError when nothing can be learned from the training records: dpo needs pairs with a preferred
        response, kto such pairs or responses labelled good or bad."""
        self.actor, self.config = actor, config
        # The likelihood of a response does not depend on the sampling temperature.
        self.logps = actor.logps.at_temperature(1.0)
        self.max_length = min(config.max_length, actor.policy.context - actor.policy.latent)
        self.train, self.validation = (self._questions(records) for records in (train, validation))
        kto = config.algorithm == "kto"
        if not self.train:
            also = " or labels one" if kto else ""
            raise ValueError(f"the train split has judgements, but none compares two responses{also}")
        if all(bool(((q.liked if kto else q.shares) == 0.5).all()) for q in self.train.values()):
            raise ValueError("all pairs of the train split are even: no response is better than another")
        if config.algorithm == "kto" and len(self.train) < 2:
            raise ValueError("kto needs judgements on at least two prompts: its KL is that of other prompts' responses")
        liked = torch.cat([question.liked for question in self.train.values()])
        # Ethayarajh et al. 2024, sec. 4.2: the rarer kind counts for as much as the other.
        self.desirable_weight = float((liked < 0.5).sum() / (liked > 0.5).sum().clamp(min=1)) or 1.0

    @property
    def truncation(self) -> str:
        """A sentence about truncated examples; "" where none was truncated."""
        questions = [*self.train.values(), *self.validation.values()]
        total = sum(len(question.group.responses) for question in questions)
        return truncation(sum(question.truncated for question in questions), total, self.max_length, "examples")

    def step(self, state: State) -> dict[str, float]:
        """Take one optimizer step on the judgements of some prompts, which the processes share. Returns the loss and
        the share of pairs in the raters' order."""
        config = self.config
        torch.manual_seed(config.seed * 1_000_003 + state.step)
        count = min(config.prompts_per_step, len(self.train))
        keys = distributed.local_share(shuffled_batch(list(self.train), state.step, count, config.seed))
        chosen = [self.train[key] for key in keys]
        origin = self._origin(keys, count) if config.algorithm == "kto" else torch.zeros(())
        sums = torch.zeros(2, dtype=torch.float64)  # of the prompts' losses and accuracies
        for question in chosen:
            sums += torch.tensor(self._loss(question, origin, count))
        loss, right = (distributed.all_reduce_sum(sums) / count).tolist()
        check_finite("the loss", [loss])
        return {
            "loss": loss,
            "preference_accuracy": right,
            **({"kl_origin": origin.item()} if config.algorithm == "kto" else {}),
            "grad_norm": self.actor.update(),
        }

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """Return the accuracy on the validation split: how often the policy's log-ratio orders a pair as raters do."""
        paired = [q for q in self.validation.values() if (q.shares != 0.5).any()]
        right = [_ordered(question, self._log_ratios(question)) for question in paired]
        return {"preference_accuracy": sum(right) / len(right)} if right else {}

    def _questions(self, records: Sequence[Record]) -> dict[str, Question]:
        """Return the questions by prompt id, sorted; those of kto include labelled responses."""
        pairs: dict[str, list[Pair]] = {}
        labels: dict[str, list[Labelled]] = {}
        for pair in pairs_of(records):
            pairs.setdefault(pair.prompt_id, []).append(pair)
        for labelled in labels_of(records) if self.config.algorithm == "kto" else ():
            labels.setdefault(labelled.prompt_id, []).append(labelled)
        return {key: self._question(pairs.get(key, []), labels.get(key, [])) for key in sorted({*pairs, *labels})}

    def _question(self, pairs: Sequence[Pair], labels: Sequence[Labelled]) -> Question:
        """Return a prompt's question; either pairs or labels may be missing."""
        texts: dict[str, str] = {}
        for pair in pairs:
            texts |= {pair.a_id: pair.a, pair.b_id: pair.b}
        texts |= {labelled.response_id: labelled.response for labelled in labels}
        place = {key: number for number, key in enumerate(texts)}
        group, truncated = self._tokenized((pairs or labels)[0].prompt, list(texts.values()))
        shares = torch.tensor([pair.share_a for pair in pairs])
        ends = torch.tensor([(place[pair.a_id], place[pair.b_id]) for pair in pairs], dtype=torch.long).view(-1, 2)
        won, count = torch.zeros(2, len(texts))
        for column, share in ((0, shares), (1, 1 - shares)):
            won.index_add_(0, ends[:, column], share)
            count.index_add_(0, ends[:, column], torch.ones_like(share))
        liked = won / count.clamp(min=1)
        for labelled in labels:
            liked[place[labelled.response_id]] = labelled.label
        width = max(map(len, group.responses))
        return Question(
            group=group,
            log_reference=self.actor.reference_log_probs([group], width, self.logps).sum(dim=1),
            pairs=ends,
            shares=shares,
            weights=torch.tensor([pair.votes_weight for pair in pairs]),
            liked=liked,
            truncated=truncated,
        )

    def _tokenized(self, prompt: str, texts: Sequence[str]) -> tuple[Group, int]:
        """Return a prompt with judged responses in at most max_length tokens, and how many of them are truncated.

        The prompt's beginning is cut first, down to half of the tokens; then the responses' ends, without an end token.
        """
        policy, limit = self.actor.policy, self.max_length
        whole = [policy.response_ids(text, sys.maxsize) for text in texts]
        if policy.encoder_decoder:  # prompts are encoded separately
            head, room = policy.limited_prompt_ids(prompt, limit), limit
        else:
            head = policy.limited_prompt_ids(prompt, max(limit // 2, limit - max(map(len, whole))))
            room = limit - len(head)
        responses = [ids[:room] for ids in whole]
        cut = [prompt in policy.truncated or len(ids) > room for ids in whole]
        return Group(head, responses), sum(cut)

    def _loss(self, question: Question, origin: Tensor, count: int) -> tuple[float, float]:
        """Add the gradient of one prompt of `count`; return its loss and the share of its pairs in the raters'
        order."""
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
        """Return log π(y|x) - log π_ref(y|x) of each response, (K,)."""
        width = max(map(len, question.group.responses))
        flat = torch.zeros(len(question.group.responses) * width)
        for batch in self.logps.batches([question.group], width):
            flat = flat.index_put((batch.index,), self.logps.forward(batch).log_probs)
        return flat.view(-1, width).sum(dim=1) - question.log_reference

    @torch.no_grad()
    def _origin(self, keys: Sequence[str], count: int) -> Tensor:
        """Return KTO's z: the mean KL to the reference on mismatched responses, at least 0, over the `count` prompts of
        all processes.

        A prompt's mismatched response is the first response of the next prompt among all training prompts; among those
        of the step or of this process the next prompt could be the same one.
        """
        total = torch.zeros(())
        if keys:
            order = list(self.train)
            others = [self.train[order[(order.index(key) + 1) % len(order)]] for key in keys]
            groups = [
                Group(self.train[key].group.prompt, [other.group.responses[0]])
                for key, other in zip(keys, others, strict=True)
            ]
            width = max(len(group.responses[0]) for group in groups)
            log_reference = self.actor.reference_log_probs(groups, width, self.logps)
            total = (self.logps.table(groups, width) - log_reference).sum()
        return (distributed.all_reduce_sum(total) / count).clamp(min=0)


def _ordered(question: Question, ratios: Tensor) -> float:
    """Return the share of a prompt's decided pairs that the log-ratios order as the raters do; ½ without decided pairs.

    Log-ratios that differ by no more than two passes of one model are ties and count as half.
    """
    a, b = question.pairs.unbind(dim=1)
    decided = question.shares != 0.5
    if not decided.any():
        return 0.5
    difference = ratios[a] - ratios[b]
    order = torch.where(difference.abs() <= TOLERANCE, 0.0, torch.sign(difference))
    agreement = order * torch.sign(question.shares - 0.5)
    return ((agreement[decided] + 1) / 2).mean().item()
