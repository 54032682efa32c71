"""A prompt and all its responses as one row: the prompt is read once (training.engine.models.tree_rows)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.engine.data.observations import Item
from training.engine.models.last_layer import last_layer_at
from training.engine.models.tree_rows import tree_rows

# Cells of the masks of one pass: rows of like length share a pass.
MAX_MASK_CELLS = 2_000_000
# Tokens with which a pass is at full speed: from there on a new pass is cheaper than this share of padding.
FULL_SPEED_TOKENS = {"cpu": 1024, "cuda": 16_384}
PADDING = 0.03


@dataclass(frozen=True)
class Tree:
    """A prompt's tokens (head) and the tokens of each of its responses (tails), in the items' order."""

    items: tuple[Item, ...]
    head: list[int]
    tails: list[list[int]]

    @property
    def length(self) -> int:
        return len(self.head) + sum(map(len, self.tails))


def read_trees(model: Any, trees: Sequence[Tree], *, last_layer_only: bool) -> Iterator[tuple[Item, Tensor]]:
    """Each item of the trees with its outputs (H,). `model` is one for sequence classification over a causal base;
    narrow: its last layer computes the ends of the responses alone."""
    like = next(model.parameters())
    for part in _passes(sorted(trees, key=lambda tree: tree.length), FULL_SPEED_TOKENS.get(like.device.type, 16_384)):
        batch, ends = tree_inputs(part, like.dtype, model.config.pad_token_id or 0)
        batch = {name: value.to(like.device) for name, value in batch.items()}
        columns = [column for tree in part for column in range(len(tree.tails))]
        rows = [row for row, tree in enumerate(part) for _ in tree.tails]
        places = torch.zeros(len(part), max(columns) + 1, dtype=torch.long, device=like.device)
        places[rows, columns] = torch.tensor(ends, device=like.device)
        base = getattr(model, model.base_model_prefix)
        with last_layer_at(base, model.config.num_hidden_layers, places) if last_layer_only else nullcontext():
            hidden = base(**batch, use_cache=False).last_hidden_state  # (B, E, D) or (B, L, D)
        outputs = head_of(model)(hidden[rows, columns if last_layer_only else ends]).float().cpu()  # (N, H)
        yield from zip((item for tree in part for item in tree.items), outputs, strict=True)


def check_trees(
    model: Any, trees: Sequence[Tree], alone: Mapping[Item, Tensor], *, last_layer_only: bool
) -> float | None:
    """The largest difference between the trees' outputs and those of rows of their own (Bloom, whose positions are
    part of its attention, fails); None where the model does not take trees at all."""
    try:
        outputs = dict(read_trees(model, trees, last_layer_only=last_layer_only))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return None
    return max(float((outputs[item] - alone[item]).abs().max()) for item in outputs)


def head_of(model: Any) -> Any:
    """The layer that turns hidden states into outputs."""
    return model.score


def tree_inputs(trees: Sequence[Tree], dtype: torch.dtype, pad: int) -> tuple[dict[str, Tensor], list[int]]:
    """Model inputs of the trees, (B, L) and a mask (B, 1, L, L), and where each response ends in its row."""
    rows = tree_rows([(tree.head, tree.tails) for tree in trees], pad)
    inputs = {"input_ids": rows.ids, "attention_mask": rows.mask(dtype), "position_ids": rows.positions}
    return inputs, [end - 1 for spans in rows.spans for _, end in spans]


def _passes(trees: Sequence[Tree], enough: int) -> Iterator[list[Tree]]:
    """The trees, shortest first, in parts that fit one pass and have little padding, but `enough` tokens."""
    part: list[Tree] = []
    tokens = 0
    for tree in trees:
        padded = (len(part) + 1) * tree.length
        wasteful = tokens >= enough and padded > (1 + PADDING) * (tokens + tree.length)
        if part and (wasteful or padded * tree.length > MAX_MASK_CELLS):
            yield part
            part, tokens = [], 0
        part.append(tree)
        tokens += tree.length
    if part:
        yield part
