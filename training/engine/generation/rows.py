"""Pack prompts with their responses into batches of token rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

# From this many tokens on a batch of responses runs at full speed; a further batch is then cheaper than more padding.
FULL_SPEED_TOKENS, MAX_PADDING = 1024, 0.03

Tokens = Sequence[int]


@dataclass(frozen=True)
class Group:
    """A prompt and its responses as token ids. Each response has at least one token."""

    prompt: Tokens
    responses: Sequence[Tokens]


@dataclass(frozen=True)
class SuffixBatch:
    """R responses without their last tokens, which continue the cached prompts."""

    prompt: Tensor  # (R,): the row of each response's prompt
    ids: Tensor  # (R, L)
    mask: Tensor  # (R, L)
    positions: Tensor  # (R, L)


@dataclass(frozen=True)
class PackedBatch:
    """The input of one pass: R rows of at most L tokens, suffixes that continue them, and M response tokens in both."""

    ids: Tensor  # (R, L)
    mask: Tensor  # (R, L)
    positions: Tensor  # (R, L)
    predicted_from: Tensor  # (M,): the position among the R·L, and after them the suffixes', that predicts each token
    targets: Tensor  # (M,)
    index: Tensor  # (M,): the index of each token in the flattened (N, T) of all samples
    source: tuple[Tensor, Tensor] | None = None  # ids and mask (R, P) of an encoder–decoder's prompts
    suffixes: tuple[SuffixBatch, ...] = ()


@dataclass
class _ResponseTokens:
    """Collects the response tokens of a batch."""

    width: int  # T
    predicted_from: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    index: list[int] = field(default_factory=list)

    def add(self, number: int, response: Tokens, first: int, start: int) -> None:
        """Add sample `number`. Its first token is predicted at `first`, the end of its prompt; each later token at the
        token before it, beginning at `start`."""
        self.predicted_from += [first, *range(start, start + len(response) - 1)]
        self.targets += response
        self.index += range(number * self.width, number * self.width + len(response))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return torch.tensor(self.predicted_from), torch.tensor(self.targets), torch.tensor(self.index)


def pack_rows(
    groups: Sequence[Group], width: int, *, pad_id: int, budget: int, start_id: int | None = None
) -> Iterator[PackedBatch]:
    """Yield batches of at most `budget` tokens with one row per response, its prompt included; rows of similar length
    share a batch.

    start_id: the start token of an encoder–decoder's responses; its prompts go to the encoder.
    """
    heads = [[start_id] if start_id is not None else list(g.prompt) for g in groups for _ in g.responses]
    prompts = [group.prompt for group in groups for _ in group.responses]
    responses = [response for group in groups for response in group.responses]
    lengths = [len(head) + len(response) for head, response in zip(heads, responses, strict=True)]
    order = sorted(range(len(responses)), key=lengths.__getitem__)
    for part in _split(order, lambda batch, n: (len(batch) + 1) * lengths[n] > budget):
        ids, mask = padded([[*heads[n], *responses[n]] for n in part], pad_id)
        tokens = _ResponseTokens(width)
        for row, n in enumerate(part):
            first = row * ids.shape[1] + len(heads[n]) - 1
            tokens.add(n, responses[n], first, first + 1)
        source = None if start_id is None else padded([prompts[n] for n in part], pad_id)
        yield PackedBatch(ids, mask, _position_ids(ids), *tokens.tensors(), source)


def pack_shared_prompts(groups: Sequence[Group], width: int, *, pad_id: int, budget: int) -> Iterator[PackedBatch]:
    """Yield batches of about `budget` tokens at most with one row per prompt and its responses as suffixes; prompts of
    similar length share a batch. A prompt with more responses than fit is encoded several times."""
    samples = [(b, tokens) for b, group in enumerate(groups) for tokens in group.responses]
    order = sorted(range(len(samples)), key=lambda n: (len(groups[samples[n][0]].prompt), samples[n][0]))

    def full(batch: Sequence[int], n: int) -> bool:
        prompts = {samples[m][0] for m in [*batch, n]}
        prompt_tokens = len(prompts) * len(groups[samples[n][0]].prompt)
        return prompt_tokens + sum(len(samples[m][1]) for m in [*batch, n]) > budget

    for part in _split(order, full):
        yield _shared_prompt_batch(groups, {n: samples[n] for n in part}, width, pad_id)


def _shared_prompt_batch(
    groups: Sequence[Group], samples: dict[int, tuple[int, Tokens]], width: int, pad_id: int
) -> PackedBatch:
    """Return one batch. samples: the group and the tokens of each sample, by its number."""
    row_of = {b: row for row, b in enumerate(dict.fromkeys(b for b, _ in samples.values()))}
    ids, mask = padded([groups[b].prompt for b in row_of], pad_id)
    tokens, suffixes, offset = _ResponseTokens(width), [], ids.numel()
    for part in _by_length({n: len(response) - 1 for n, (_, response) in samples.items()}):
        rows = [row_of[samples[n][0]] for n in part]
        tails, tail_mask = padded([samples[n][1][:-1] for n in part], pad_id)
        starts = torch.tensor([len(groups[samples[n][0]].prompt) for n in part])
        if tails.numel():  # otherwise each is a single token, which the end of its prompt predicts
            positions = starts.unsqueeze(1) + _position_ids(tails)
            suffixes.append(SuffixBatch(torch.tensor(rows), tails, tail_mask, positions))
        for place, (n, row) in enumerate(zip(part, rows, strict=True)):
            first = row * ids.shape[1] + len(groups[samples[n][0]].prompt) - 1
            tokens.add(n, samples[n][1], first, offset + place * tails.shape[1])
        offset += tails.numel()
    return PackedBatch(ids, mask, _position_ids(ids), *tokens.tensors(), suffixes=tuple(suffixes))


def _by_length(lengths: dict[int, int]) -> Iterator[list[int]]:
    """Yield the samples, shortest first, in parts with little padding or FULL_SPEED_TOKENS; length 0 separately."""

    def full(batch: Sequence[int], n: int) -> bool:
        tokens = sum(lengths[m] for m in batch)
        wasteful = (len(batch) + 1) * lengths[n] > (1 + MAX_PADDING) * (tokens + lengths[n])
        return lengths[n] > 0 and ((tokens >= FULL_SPEED_TOKENS and wasteful) or tokens == 0)

    return _split(sorted(lengths, key=lengths.__getitem__), full)


def _split(order: Sequence[int], full: Callable[[Sequence[int], int], bool]) -> Iterator[list[int]]:
    """Split the numbers into parts. full: whether a part has no room for another number."""
    part: list[int] = []
    for n in order:
        if part and full(part, n):
            yield part
            part = []
        part.append(n)
    if part:
        yield part


def padded(rows: Sequence[Tokens], pad_id: int) -> tuple[Tensor, Tensor]:
    """Return token ids and mask, both (R, L), padded on the right."""
    long = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad_id] * (long - len(row))] for row in rows], dtype=torch.long)
    mask = torch.tensor([[1] * len(row) + [0] * (long - len(row)) for row in rows], dtype=torch.long)
    return ids.view(len(rows), long), mask.view(len(rows), long)


def _position_ids(ids: Tensor) -> Tensor:
    return torch.arange(ids.shape[1]).expand_as(ids)
