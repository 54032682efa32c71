"""Encode (prompt, response) items with a model: each item is tokenized once, with little padding, and a prompt is
encoded once for all its responses where the model allows it."""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from training.engine.data.formatting import PromptIds, prompt_ids, text_ids
from training.engine.data.observations import Item
from training.engine.models.trees import Tree, check_trees, read_trees
from training.engine.runtime.onednn import with_onednn

# Rows per pass through the model; rows are sorted by length, since they are padded to the longest.
ROWS = 16
# The cost of a tree row is quadratic in its length.
MAX_ROW_LENGTH = 1024
PRECISIONS = ("auto", "float32", "bfloat16")


class Encoder:
    """Items in, outputs (N, H) out, with gradient when grad is enabled.

    `causal` models read prompt, response and end token; encoders the text pair of their pretraining. A text that is
    too long loses the prompt's beginning, but never a chat template's head, then the response's end; `truncated` holds
    the items that lost something.
    `trees` says whether the responses of a prompt share the reading of it (training.engine.models.trees), `narrow`
    whether the last layer is then computed at their ends alone. `placed` says that the model is on its device already,
    or is put there by somebody else.
    """

    def __init__(self, model: Any, tokenizer: Any, max_length: int, *, on_device: bool = False) -> None:
        self.model = model if on_device else with_onednn(model.to(device()))
        self.tokenizer, self.max_length = tokenizer, max_length
        self.causal = not hasattr(tokenizer, "sep_token_id") or tokenizer.sep_token_id is None
        self.trees = self.last_layer_only = False
        self.truncated: set[Item] = set()
        self._rows: dict[Item, dict[str, list[int]]] = {}
        self._prompts: dict[str, PromptIds] = {}

    def length(self, item: Item) -> int:
        """Return the number of tokens in the item's row."""
        return len(self._rows[item]["input_ids"])

    def prepare(self, items: Sequence[Item]) -> None:
        """Tokenize the new items in one batch."""
        new = [item for item in dict.fromkeys(items) if item not in self._rows]
        if not new:
            return
        rows = self._causal_rows(new) if self.causal else self._encoder_rows(new)
        self._rows.update(zip(new, rows, strict=True))

    def forget(self) -> None:
        """Discard the tokenized items: the texts of a tuned policy are always new."""
        self._rows.clear()
        self._prompts.clear()

    def batch(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """Return model inputs (N, T) of prepared items, padded on the right: a causal model's output is that of the
        last token before the padding."""
        rows = [self._rows[item] for item in items]
        return dict(self.tokenizer.pad(rows, padding_side="right", return_tensors="pt").to(device()))

    def outputs(self, items: Sequence[Item], *, bfloat16: bool = False) -> Tensor:
        """Return outputs (N, H) of the items, which may repeat."""
        if not items:
            return torch.zeros(0, self.model.config.num_labels)
        self.prepare(items)
        distinct = list(dict.fromkeys(items))
        trees, rest = self._trees(distinct) if self.trees else ([], distinct)
        with torch.autocast(device().type, torch.bfloat16) if bfloat16 else contextlib.nullcontext():
            outputs = dict(
                itertools.chain(
                    self._read_padded(rest), read_trees(self.model, trees, last_layer_only=self.last_layer_only)
                )
            )
        return torch.stack([outputs[item] for item in items])

    def enable_trees(self, items: Sequence[Item]) -> float | None:
        """Enable shared prompts if the items' trees have the same outputs as their rows, and the restricted last layer
        if that changes nothing either; return the largest difference, or None where trees are not applicable."""
        self.prepare(items)
        trees, _ = self._trees(items) if self.causal else ([], items)
        if not trees:
            return None
        # Two prompts with three responses each are sufficient for the test.
        trees = [Tree(tree.items[:3], tree.head, tree.tails[:3]) for tree in trees[:2]]
        items = [item for tree in trees for item in tree.items]
        self.model.eval()
        with torch.no_grad():
            alone = dict(self._read_padded(items))
            # A layer with activation checkpointing receives no cache.
            for last_layer_only in dict.fromkeys((not self.model.is_activation_checkpointing, False)):
                difference = check_trees(self.model, trees, alone, last_layer_only=last_layer_only)
                self.trees = difference is not None and difference < 1e-4
                self.last_layer_only = self.trees and last_layer_only
                if self.trees:
                    break
        return difference

    def _read_padded(self, items: Sequence[Item]) -> Iterator[tuple[Item, Tensor]]:
        by_length = sorted(items, key=self.length)
        for start in range(0, len(by_length), ROWS):
            part = by_length[start : start + ROWS]
            yield from zip(part, self.model(**self.batch(part)).logits.float().cpu(), strict=True)

    def _trees(self, items: Sequence[Item]) -> tuple[list[Tree], list[Item]]:
        """Return trees of the items that are not truncated and share a prompt, and the other items."""
        by_prompt: dict[str, list[Item]] = {}
        rest = []
        for item in items:
            if item in self.truncated:
                rest.append(item)
            else:
                by_prompt.setdefault(item[0], []).append(item)
        trees = []
        for prompt, group in by_prompt.items():
            head = self._prompts[prompt].whole
            for part in _rows_within(
                group, [self.length(item) - len(head) for item in group], MAX_ROW_LENGTH - len(head)
            ):
                if len(part) == 1:
                    rest += part
                else:
                    tails = [self._rows[item]["input_ids"][len(head) :] for item in part]
                    trees.append(Tree(tuple(part), head, tails))
        return trees, rest

    def _causal_rows(self, items: Sequence[Item]) -> list[dict[str, list[int]]]:
        """Return rows of prompt, separator, response and the end token, whose output is used. The end token is omitted
        where it is also the padding token, because transformers then uses the token before it."""
        prompts = [prompt for prompt in dict.fromkeys(p for p, _ in items) if prompt not in self._prompts]
        self._prompts.update(zip(prompts, prompt_ids(self.tokenizer, prompts), strict=True))
        responses = text_ids(self.tokenizer, [response for _, response in items])["input_ids"]
        same = self.tokenizer.eos_token_id == self.tokenizer.pad_token_id
        end = [] if same or self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        return [
            self._causal_row(item, self._prompts[item[0]], response, end)
            for item, response in zip(items, responses, strict=True)
        ]

    def _causal_row(self, item: Item, prompt: PromptIds, response: list[int], end: list[int]) -> dict[str, list[int]]:
        tail = response[: max(0, self.max_length - len(end) - prompt.fixed)] + end
        head = prompt.within(self.max_length - len(tail))
        if len(head) + len(tail) < len(prompt.whole) + len(response) + len(end):
            self.truncated.add(item)
        return {"input_ids": head + tail, "attention_mask": [1] * (len(head) + len(tail))}

    def _encoder_rows(self, items: Sequence[Item]) -> list[dict[str, list[int]]]:
        # Rows that are too long are truncated below, so the tokenizer's warning is suppressed.
        prompts, responses = [prompt for prompt, _ in items], [response for _, response in items]
        tokenized = self.tokenizer(prompts, responses, split_special_tokens=True, verbose=False)
        rows = [{key: tokenized[key][n] for key in tokenized} for n in range(len(items))]
        for n, item in enumerate(items):
            if len(rows[n]["input_ids"]) > self.max_length:
                self.truncated.add(item)
                rows[n] = self._cut(item)
        return rows

    def _cut(self, item: Item) -> dict[str, list[int]]:
        """Return the row of a pair that is too long: the end of the prompt, and as much of the response as fits."""
        room = self.max_length - self.tokenizer.num_special_tokens_to_add(pair=True)
        prompt, response = (
            text_ids(self.tokenizer, text, return_offsets_mapping=True)["offset_mapping"] for text in item
        )
        kept_offsets = response[:room]
        tail = item[1][: kept_offsets[-1][1]] if kept_offsets else ""
        left = room - len(kept_offsets)
        head = item[0][prompt[-left][0] :] if 0 < left < len(prompt) else item[0] if left else ""
        # A cut inside a word may give one token more than counted, which the limit removes.
        limits = {"truncation": "longest_first", "max_length": self.max_length}
        row = self.tokenizer(head, tail, split_special_tokens=True, **limits)
        return {key: row[key] for key in row}


@cache
def device() -> torch.device:
    """Return the device of models: this process's accelerator, if there is one. Outputs are moved to the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def resolve_bfloat16(precision: str) -> bool:
    """Return whether to train in bfloat16; "auto" means where the hardware supports it natively."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected {', '.join(PRECISIONS)}, not {precision!r}")
    if precision != "auto":
        return precision == "bfloat16"
    if device().type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported())


def _rows_within(items: Sequence[Item], lengths: Sequence[int], limit: int) -> Iterator[list[Item]]:
    """Split the items into parts with a total length of at most the limit, or of a single item."""
    part: list[Item] = []
    filled = 0
    for item, length in zip(items, lengths, strict=True):
        if part and filled + length > limit:
            yield part
            part, filled = [], 0
        part.append(item)
        filled += length
    yield part
