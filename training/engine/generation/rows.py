"""How responses to prompts are laid out as the rows that a model reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

# Tokens with which a batch of responses is at full speed: from there on another is cheaper than this share of padding.
ENOUGH, PADDING = 1024, 0.03

Tokens = Sequence[int]


@dataclass(frozen=True)
class Group:
    """A prompt and responses to it, as token ids. Each response has a token at least."""

    prompt: Tokens
    responses: Sequence[Tokens]


@dataclass(frozen=True)
class Branch:
    """R responses, without their last tokens, that are read behind prompts which were read before."""

    prompt: Tensor  # (R,): the row of each one's prompt
    ids: Tensor  # (R, L)
    mask: Tensor  # (R, L)
    positions: Tensor  # (R, L)


@dataclass(frozen=True)
class Rows:
    """What is read at once: R rows of at most L tokens, branches behind them, and M response tokens in both."""

    ids: Tensor  # (R, L)
    mask: Tensor  # (R, L)
    positions: Tensor  # (R, L)
    read: Tensor  # (M,): where in the R·L positions, and behind them the branches', each response token is predicted
    tokens: Tensor  # (M,)
    place: Tensor  # (M,): where in the flattened (N, T) of all samples each token belongs
    source: tuple[Tensor, Tensor] | None = None  # ids and mask (R, P) of an encoder–decoder's prompts
    branches: tuple[Branch, ...] = ()


@dataclass
class _Found:
    """The response tokens of some rows, as they are laid out one after another."""

    width: int  # T
    read: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    place: list[int] = field(default_factory=list)

    def add(self, number: int, response: Tokens, first: int, start: int) -> None:
        """The first token of sample `number` is predicted at `first`, its prompt's end; each other one at the token
        before it, the first of which is at `start`."""
        self.read += [first, *range(start, start + len(response) - 1)]
        self.tokens += response
        self.place += range(number * self.width, number * self.width + len(response))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return torch.tensor(self.read), torch.tensor(self.tokens), torch.tensor(self.place)


def apart(
    groups: Sequence[Group], width: int, *, pad_id: int, budget: int, start_id: int | None = None
) -> Iterator[Rows]:
    """A row for each response behind its prompt, like lengths together, at most `budget` tokens at once.

    start_id: what an encoder–decoder's responses start with; its prompts go to the encoder.
    """
    heads = [[start_id] if start_id is not None else list(g.prompt) for g in groups for _ in g.responses]
    prompts = [group.prompt for group in groups for _ in group.responses]
    responses = [response for group in groups for response in group.responses]
    lengths = [len(head) + len(response) for head, response in zip(heads, responses, strict=True)]
    order = sorted(range(len(responses)), key=lengths.__getitem__)
    for part in _cut(order, lambda batch, n: (len(batch) + 1) * lengths[n] > budget):
        ids, mask = padded([[*heads[n], *responses[n]] for n in part], pad_id)
        found = _Found(width)
        for row, n in enumerate(part):
            first = row * ids.shape[1] + len(heads[n]) - 1
            found.add(n, responses[n], first, first + 1)
        source = None if start_id is None else padded([prompts[n] for n in part], pad_id)
        yield Rows(ids, mask, _counted(ids), *found.tensors(), source)


def branched(groups: Sequence[Group], width: int, *, pad_id: int, budget: int) -> Iterator[Rows]:
    """A row for each prompt, and its responses as branches; prompts of like length together, at most about `budget`
    tokens at once. A prompt with more responses than that is read several times."""
    samples = [(b, tokens) for b, group in enumerate(groups) for tokens in group.responses]
    order = sorted(range(len(samples)), key=lambda n: (len(groups[samples[n][0]].prompt), samples[n][0]))

    def full(batch: Sequence[int], n: int) -> bool:
        prompts = {samples[m][0] for m in [*batch, n]}
        read = len(prompts) * len(groups[samples[n][0]].prompt)
        return read + sum(len(samples[m][1]) for m in [*batch, n]) > budget

    for part in _cut(order, full):
        yield _branched_rows(groups, {n: samples[n] for n in part}, width, pad_id)


def _branched_rows(groups: Sequence[Group], samples: dict[int, tuple[int, Tokens]], width: int, pad_id: int) -> Rows:
    """samples: by number the group and the tokens of each."""
    row_of = {b: row for row, b in enumerate(dict.fromkeys(b for b, _ in samples.values()))}
    ids, mask = padded([groups[b].prompt for b in row_of], pad_id)
    found, branches, behind = _Found(width), [], ids.numel()
    for part in _alike({n: len(tokens) - 1 for n, (_, tokens) in samples.items()}):
        rows = [row_of[samples[n][0]] for n in part]
        tails, seen = padded([samples[n][1][:-1] for n in part], pad_id)
        starts = torch.tensor([len(groups[samples[n][0]].prompt) for n in part])
        if tails.numel():  # else each is a single token, which its prompt's end predicts
            branches.append(Branch(torch.tensor(rows), tails, seen, starts.unsqueeze(1) + _counted(tails)))
        for place, (n, row) in enumerate(zip(part, rows, strict=True)):
            first = row * ids.shape[1] + len(groups[samples[n][0]].prompt) - 1
            found.add(n, samples[n][1], first, behind + place * tails.shape[1])
        behind += tails.numel()
    return Rows(ids, mask, _counted(ids), *found.tensors(), branches=tuple(branches))


def _alike(lengths: dict[int, int]) -> Iterator[list[int]]:
    """The samples, shortest first, in parts with little padding, but ENOUGH tokens; those of length 0 apart."""

    def full(batch: Sequence[int], n: int) -> bool:
        tokens = sum(lengths[m] for m in batch)
        wasteful = (len(batch) + 1) * lengths[n] > (1 + PADDING) * (tokens + lengths[n])
        return lengths[n] > 0 and ((tokens >= ENOUGH and wasteful) or tokens == 0)

    return _cut(sorted(lengths, key=lengths.__getitem__), full)


def _cut(order: Sequence[int], full: Callable[[Sequence[int], int], bool]) -> Iterator[list[int]]:
    """The numbers in parts; full: whether a part has no room for a further one."""
    part: list[int] = []
    for n in order:
        if part and full(part, n):
            yield part
            part = []
        part.append(n)
    if part:
        yield part


def padded(rows: Sequence[Tokens], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and mask, both (R, L), padded on the right."""
    long = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad_id] * (long - len(row))] for row in rows], dtype=torch.long)
    mask = torch.tensor([[1] * len(row) + [0] * (long - len(row)) for row in rows], dtype=torch.long)
    return ids.view(len(rows), long), mask.view(len(rows), long)


def _counted(ids: Tensor) -> Tensor:
    return torch.arange(ids.shape[1]).expand_as(ids)
