"""One row for a prompt and all its responses: the prompt is read once, and each response sees the prompt and itself.

The row is prompt tokens, then the responses one after another, each with position numbers that go on from the
prompt's. An additive mask hides the responses from each other, so every output equals that of a row of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.engine.observations import Item

# Cells of the masks of one pass: rows of like length share a pass.
CELLS = 2_000_000


@dataclass(frozen=True)
class Tree:
    """A prompt's tokens (head) and the tokens of each of its responses (tails), in the items' order."""

    items: tuple[Item, ...]
    head: list[int]
    tails: list[list[int]]

    @property
    def length(self) -> int:
        return len(self.head) + sum(map(len, self.tails))


def read_trees(model: Any, trees: Sequence[Tree]) -> Iterator[tuple[Item, Tensor]]:
    """Each item of the trees with its outputs (H,). `model` is one for sequence classification over a causal base."""
    for part in _passes(sorted(trees, key=lambda tree: tree.length)):
        like = next(model.parameters())
        batch, ends = joined(part, like.dtype, model.config.pad_token_id or 0)
        batch = {name: value.to(like.device) for name, value in batch.items()}
        base = getattr(model, model.base_model_prefix)
        hidden = base(**batch, use_cache=False).last_hidden_state  # (B, L, D)
        rows = [row for row, tree in enumerate(part) for _ in tree.tails]
        outputs = head_of(model)(hidden[rows, ends]).float().cpu()  # (N, H)
        yield from zip((item for tree in part for item in tree.items), outputs, strict=True)


def check_trees(model: Any, trees: Sequence[Tree], alone: Mapping[Item, Tensor]) -> float | None:
    """The largest difference between the trees' outputs and those of rows of their own (Bloom, whose positions are
    part of its attention, fails); None where the model does not take trees at all."""
    try:
        found = dict(read_trees(model, trees))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return None
    return max(float((found[item] - alone[item]).abs().max()) for item in found)


def head_of(model: Any) -> Any:
    """The layer that turns hidden states into outputs."""
    return model.score


def joined(trees: Sequence[Tree], dtype: torch.dtype, pad: int) -> tuple[dict[str, Tensor], list[int]]:
    """Model inputs of the trees, (B, L) and a mask (B, 1, L, L), and where each response ends in its row.

    The mask is added to the attention's scores: a boolean one is read differently by some models.
    """
    width = max(tree.length for tree in trees)
    ids = torch.full((len(trees), width), pad)
    positions = torch.zeros((len(trees), width), dtype=torch.long)
    part = torch.full((len(trees), width), -1)  # 0 in the prompt, n in response n, -1 in the padding
    ends = []
    for row, tree in enumerate(trees):
        start = 0
        for number, tokens in enumerate([tree.head, *tree.tails]):
            end = start + len(tokens)
            ids[row, start:end] = torch.tensor(tokens)
            first = len(tree.head) if number else 0
            positions[row, start:end] = torch.arange(first, first + len(tokens))
            part[row, start:end] = number
            start = end
            if number:
                ends.append(end - 1)
    earlier = torch.ones(width, width, dtype=torch.bool).tril()
    seen = earlier & ((part[:, None, :] == 0) | (part[:, None, :] == part[:, :, None]))
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return {"input_ids": ids, "attention_mask": mask[:, None], "position_ids": positions}, ends


def _passes(trees: Sequence[Tree]) -> Iterator[list[Tree]]:
    """The trees, shortest first, in parts that fit one pass."""
    part: list[Tree] = []
    for tree in trees:
        if part and (len(part) + 1) * tree.length**2 > CELLS:
            yield part
            part = []
        part.append(tree)
    if part:
        yield part
