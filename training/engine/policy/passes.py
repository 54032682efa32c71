"""Log-probabilities of given responses under a model, with the prompt read once for all responses to it.

Responses to a prompt share rows (training.engine.tree_rows). Whether a model computes the same from them as from rows
of one response each is tried before the first step; where it does not, every response gets its own row.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.engine.decoding import TOLERANCE, takes_positions, window_of
from training.engine.tree_rows import tree_rows

ROW_CAP = 1024  # tokens in a tree row: its attention costs the square of it


@dataclass(frozen=True)
class Group:
    """A prompt and responses to it, as token ids. Each response has a token at least."""

    prompt: Sequence[int]
    responses: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Rows:
    """One forward pass: R rows of at most L tokens, and M response tokens among them."""

    ids: Tensor  # (R, L)
    mask: Tensor  # (R, L), or (R, 1, L, L) additive for tree rows
    positions: Tensor  # (R, L)
    read: Tensor  # (M,): where in the R·L positions each response token is predicted
    tokens: Tensor  # (M,)
    place: Tensor  # (M,): where in the flattened (N, T) of all samples each token belongs
    source: tuple[Tensor, Tensor] | None = None  # ids and mask (R, P) of an encoder–decoder's prompts


@dataclass(frozen=True)
class TokenValues:
    """What a pass tells of its M response tokens."""

    log_probs: Tensor  # (M,)
    entropy: Tensor  # (M,), without gradient
    hidden: Tensor  # (M, D): the state from which the token was predicted


class Passes:
    def __init__(self, model: Any, *, pad_id: int, temperature: float, precision: str, budget: int = 8192) -> None:
        """budget: tokens in one forward pass, so that memory does not grow with the batch."""
        self.model, self.pad_id, self.temperature, self.budget = model, pad_id, temperature, budget
        encoder_decoder = bool(model.config.is_encoder_decoder)
        self.start_id = model.config.decoder_start_token_id if encoder_decoder else None
        self.positions = takes_positions(model)
        self.precision = chosen_precision(precision, model)
        self.shared = self.head_alone = not encoder_decoder

    @property
    def cap(self) -> float:
        return min(ROW_CAP, window_of(self.model)) if self.shared else 0

    def rows_of(self, groups: Sequence[Group], width: int) -> list[Rows]:
        """All responses of the groups in as few rows as the caps allow, like lengths together.

        width: T of the (N, T) that `place` points into; N counts the responses group by group.
        """
        return list(
            laid_out(groups, width, pad_id=self.pad_id, cap=self.cap, budget=self.budget, start_id=self.start_id)
        )

    def over(self, rows: Rows, model: Any = None) -> TokenValues:
        """One forward pass, with gradient where it is enabled. Another model of the same kind may be given.

        Without gradient everything is float32, as sampling is: rounding must not look like a divergence.
        """
        model = self.model if model is None else model
        with self._autocast() if torch.is_grad_enabled() else nullcontext():
            hidden, logits = self._read(model, rows)
        log_probs = torch.log_softmax(logits.float() / self.temperature, dim=-1)
        chosen = log_probs.gather(1, rows.tokens.unsqueeze(1)).squeeze(1)
        with torch.no_grad():
            entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
        return TokenValues(chosen, entropy, hidden.float())

    def distributions(self, rows: Rows, model: Any) -> Tensor:
        """Log-probabilities of all tokens (M, V) at the places of the response tokens, in float32."""
        return torch.log_softmax(self._read(model, rows)[1].float() / self.temperature, dim=-1)

    @torch.no_grad()
    def table(self, groups: Sequence[Group], width: int, model: Any = None) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies of all responses, (N, T) each, 0 on padding."""
        count = sum(len(group.responses) for group in groups)
        log_probs, entropy = torch.zeros(2, count * width)
        for rows in self.rows_of(groups, width):
            values = self.over(rows, model)
            log_probs[rows.place], entropy[rows.place] = values.log_probs, values.entropy
        return log_probs.view(count, width), entropy.view(count, width)

    @torch.no_grad()
    def check(self, group: Group) -> str:
        """Keep of the short cuts what gives this model's own numbers; says in words what was kept."""
        width = max(map(len, group.responses))
        wanted = (self.shared, self.head_alone)
        self.shared = self.head_alone = False
        plain, _ = self.table([group], width)
        for self.shared, self.head_alone in dict.fromkeys([wanted, (False, wanted[1]), (False, False)]):
            if self._agrees(group, width, plain):
                break
        rows = "one row a prompt" if self.shared else "one row a response"
        return f"{rows}, {self.precision}"

    def _agrees(self, group: Group, width: int, plain: Tensor) -> bool:
        try:
            return (self.table([group], width)[0] - plain).abs().max().item() <= TOLERANCE
        except (RuntimeError, TypeError, ValueError, AttributeError):
            return False  # the model takes no mask of this form, or has no head apart from its body

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", dtype=torch.bfloat16) if self.precision == "bfloat16" else nullcontext()

    def _read(self, model: Any, rows: Rows) -> tuple[Tensor, Tensor]:
        """Hidden states (M, D) and logits (M, V) from which the response tokens are predicted."""
        if rows.source is not None:
            ids, mask = rows.source
            out = model(
                input_ids=ids, attention_mask=mask, decoder_input_ids=rows.ids, decoder_attention_mask=rows.mask,
                output_hidden_states=True,
            )  # fmt: skip
            return out.decoder_hidden_states[-1].flatten(0, 1)[rows.read], out.logits.flatten(0, 1)[rows.read]
        inputs = {"input_ids": rows.ids, "attention_mask": rows.mask, "use_cache": False}
        if self.positions:
            inputs["position_ids"] = rows.positions
        if self.head_alone:
            # The head is the widest layer; on prompts and padding its output would be thrown away.
            hidden = model.get_decoder()(**inputs).last_hidden_state.flatten(0, 1)[rows.read]
            return hidden, model.get_output_embeddings()(hidden)
        out = model(**inputs, output_hidden_states=True)
        return out.hidden_states[-1].flatten(0, 1)[rows.read], out.logits.flatten(0, 1)[rows.read]


def chosen_precision(wanted: str, model: Any) -> str:
    """bfloat16 where the processor multiplies it natively and the model is wide enough that it pays."""
    if wanted != "auto":
        return wanted
    wide = getattr(model.config, "hidden_size", 0) >= 512
    return "bfloat16" if wide and torch.cpu._is_avx512_bf16_supported() else "float32"


def laid_out(
    groups: Sequence[Group], width: int, *, pad_id: int, cap: float, budget: int, start_id: int | None = None
) -> Iterator[Rows]:
    """The rows of all groups, sorted by length and cut into passes of at most `budget` tokens.

    cap: tokens of a row that holds several responses, 0 gives each its own. start_id: what an encoder–decoder's
    responses start with; its prompts go to the encoder.
    """
    planned = sorted(_plan(groups, cap, start_id is not None), key=lambda row: row.length)
    batch: list[_Row] = []
    for row in planned:
        if batch and (len(batch) + 1) * row.length > budget:
            yield _rows(batch, width, pad_id, start_id)
            batch = []
        batch.append(row)
    if batch:
        yield _rows(batch, width, pad_id, start_id)


@dataclass(frozen=True)
class _Row:
    prompt: Sequence[int]
    responses: list[tuple[int, Sequence[int]]]  # the sample's number and its tokens
    length: int


def _plan(groups: Sequence[Group], cap: float, apart: bool) -> Iterator[_Row]:
    """Which responses share a row: as many of a prompt's as the cap allows, one at least."""
    number = 0
    for group in groups:
        head = 1 if apart else len(group.prompt)
        row: list[tuple[int, Sequence[int]]] = []
        filled = head
        for response in group.responses:
            if row and filled + len(response) > cap:
                yield _Row(group.prompt, row, filled)
                row, filled = [], head
            row.append((number, response))
            filled += len(response)
            number += 1
        if row:
            yield _Row(group.prompt, row, filled)


def _rows(batch: Sequence[_Row], width: int, pad_id: int, start_id: int | None) -> Rows:
    heads = [row.prompt if start_id is None else [start_id] for row in batch]
    laid = tree_rows(
        [(head, [tokens for _, tokens in row.responses]) for head, row in zip(heads, batch, strict=True)], pad_id
    )
    long = laid.ids.shape[1]
    read: list[int] = []
    tokens: list[int] = []
    place: list[int] = []
    for r, (head, row) in enumerate(zip(heads, batch, strict=True)):
        for (number, response), (start, end) in zip(row.responses, laid.spans[r], strict=True):
            # The first token is predicted at the prompt's end, each other one at the token before it.
            read += [r * long + len(head) - 1, *range(r * long + start, r * long + end - 1)]
            tokens += response
            place += range(number * width, number * width + len(response))
    tree = any(len(row.responses) > 1 for row in batch)
    mask = laid.mask(torch.float32) if tree else (laid.part >= 0).long()
    prompts = None if start_id is None else _padded([row.prompt for row in batch], pad_id)
    return Rows(laid.ids, mask, laid.positions, torch.tensor(read), torch.tensor(tokens), torch.tensor(place), prompts)


def _padded(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    long = max(map(len, prompts))
    ids = torch.tensor([[*prompt, *[pad_id] * (long - len(prompt))] for prompt in prompts])
    mask = torch.tensor([[1] * len(prompt) + [0] * (long - len(prompt)) for prompt in prompts])
    return ids, mask
