"""Rows in which several texts go on from one beginning: the head is read once, and each tail sees the head and itself.

Tails follow the head one behind the other. Positions start anew behind the head for each tail, and an additive mask
hides the tails from each other, so every output is that of a row of the head and one tail. Not every model computes
it so (Bloom has positions of its own in its attention): who uses these rows tries them first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

HIDDEN = -1e9  # not the smallest float: it must stay finite in bfloat16


@dataclass(frozen=True)
class TreeRows:
    """R rows of L columns. part: what a column belongs to, 0 the head, 1, 2, … the tails, -1 padding. spans: for each
    row where its tails begin and end."""

    ids: Tensor  # (R, L)
    positions: Tensor  # (R, L)
    part: Tensor  # (R, L)
    spans: list[list[tuple[int, int]]]

    def mask(self, dtype: torch.dtype) -> Tensor:
        """(R, 1, L, L), to be added to the attention's scores: a boolean one is read differently by some models."""
        width = self.part.shape[1]
        same = (self.part[:, :, None] == self.part[:, None, :]) | (self.part[:, None, :] == 0)
        seen = same & torch.ones(width, width, dtype=torch.bool).tril()
        return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, HIDDEN)[:, None]


def tree_rows(rows: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]], pad: int) -> TreeRows:
    """Lay out (head, tails) as token rows, padded on the right."""
    width = max(len(head) + sum(map(len, tails)) for head, tails in rows)
    ids = torch.full((len(rows), width), pad)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    part = torch.full((len(rows), width), -1)
    spans: list[list[tuple[int, int]]] = []
    for row, (head, tails) in enumerate(rows):
        spans.append([])
        start = 0
        for number, tokens in enumerate([head, *tails]):
            end = start + len(tokens)
            first = len(head) if number else 0
            ids[row, start:end] = torch.tensor(tokens)
            positions[row, start:end] = torch.arange(first, first + len(tokens))
            part[row, start:end] = number
            if number:
                spans[-1].append((start, end))
            start = end
    return TreeRows(ids, positions, part, spans)
