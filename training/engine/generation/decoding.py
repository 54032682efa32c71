"""The decoding loop: it encodes a prompt once for all its samples, keeps log-probabilities and drops finished rows.

`generate` of transformers would encode the prompt once per sample, discard the log-probabilities and continue to
compute finished rows.
"""

import inspect
import math
import random
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.engine.models.tree_rows import HIDDEN

RETIRE_SHARE = 0.125  # copying the cache costs about one step, so finished rows are dropped in groups
ROOM = 128  # tokens by which a cache grows
MAX_SAMPLES_PER_ROW = 8  # each sample also computes masked attention to the others' tokens
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Parameters of sampling. temperature 0 is greedy; top_k 0 and top_p 1 leave the distribution unchanged."""

    max_completion_length: int = 64
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    banned: tuple[int, ...] = ()  # tokens that are never sampled, such as a control token


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: its tokens including the end token, and their log-probabilities under the full distribution at the
    sampling temperature (top-k and top-p restrict the tokens and do not rescale probabilities)."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]


def prompt_seeds(label: str, count: int) -> list[int]:
    """Return `count` seeds in [0, 2³¹) as a function of the label, one per prompt.

    A sample then depends neither on its batch nor on its process, and a repeated prompt gets different samples.
    """
    rng = random.Random(label)
    return [rng.getrandbits(31) for _ in range(count)]


def uniforms(seeds: Sequence[int], per_prompt: int, tokens: int) -> Tensor:
    """Return uniform numbers in [0, 1), (B·K, T) float64; those of a prompt depend on its seed only."""
    generators = (torch.Generator().manual_seed(seed) for seed in seeds)
    return torch.cat([torch.rand(per_prompt, tokens, generator=g, dtype=torch.float64) for g in generators])


@torch.inference_mode()
def decode(
    model: Any,
    inputs: Sequence[Sequence[int]],
    *,
    per_prompt: int,
    params: SamplingParams,
    end_ids: set[int],
    pad_id: int,
    draws: Tensor,
) -> list[Sample]:
    """Sample `per_prompt` responses to each prompt (token ids), prompt by prompt. draws: uniform numbers
    (B·K, max_completion_length) that decide each token."""
    longest = max(map(len, inputs))
    group = _samples_per_row(model, per_prompt, pad_id, lambda g: longest + g * params.max_completion_length)
    state = _prefill(model, inputs, pad_id, per_prompt // group, group)
    count = len(inputs) * per_prompt
    ends = torch.tensor(sorted(end_ids))
    live = torch.arange(count).view(-1, group)  # the samples of unfinished rows
    tokens = torch.full((count, params.max_completion_length), pad_id)
    log_probs = torch.zeros(count, params.max_completion_length)
    lengths = torch.full((count,), params.max_completion_length)
    done = torch.zeros(count, dtype=torch.bool)
    for t in range(params.max_completion_length):
        active = live.flatten()
        next_tokens, log_prob = _draw(state.logits, params, draws[active, t])
        tokens[active, t], log_probs[active, t] = next_tokens, log_prob
        ended = torch.isin(next_tokens, ends) & ~done[active]
        lengths[active[ended]] = t + 1
        done[active[ended]] = True
        unfinished = ~done[live].all(dim=1)
        remaining = int(unfinished.sum())
        if remaining == 0 or t + 1 == params.max_completion_length:
            break
        if len(live) - remaining >= RETIRE_SHARE * len(live):
            rows = unfinished.nonzero().squeeze(1)
            live, next_tokens = live[rows], next_tokens.view(-1, group)[rows].flatten()
            state.select(rows)
        state.step(model, next_tokens)
    return [
        Sample(tuple(tokens[n, : lengths[n]].tolist()), tuple(log_probs[n, : lengths[n]].tolist()))
        for n in range(count)
    ]


def left_padded(inputs: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Return token ids and mask, both (B, P), padded on the left so that every prompt ends where the response
    starts."""
    width = max(map(len, inputs))
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in inputs])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in inputs])
    return ids, mask


def takes_positions(model: Any) -> bool:
    return "position_ids" in inspect.signature(model.forward).parameters


def _cache_of(model: Any) -> Any:
    """Return an empty cache whose layers grow by ROOM tokens at a time; the library's layers copy everything at every
    step."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    class GrowingLayer(DynamicLayer):
        keys: Any
        values: Any
        own_keys: Tensor | None = None  # the view of `room` that the last update returned
        room: tuple[Tensor, Tensor]

        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            added = key_states, value_states
            if not self.is_initialized:
                self.lazy_initialization(*added)
                self.keys, self.values = added
                return added
            length = self.keys.shape[2]
            end = length + key_states.shape[2]
            # After a selection of rows, `keys` is a different tensor.
            if self.keys is not self.own_keys or end > self.room[0].shape[2]:
                shapes = [(*states.shape[:2], end + ROOM, states.shape[3]) for states in added]
                self.room = key_states.new_empty(shapes[0]), value_states.new_empty(shapes[1])
                for room, cached in zip(self.room, (self.keys, self.values), strict=True):
                    room[:, :, :length] = cached
            for room, states in zip(self.room, added, strict=True):
                room[:, :, length:end] = states
            self.own_keys, self.values = (room[:, :, :end] for room in self.room)
            self.keys = self.own_keys
            return self.keys, self.values

    cache = DynamicCache(config=model.config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


@dataclass
class _State:
    """The state of R unfinished rows, each with G samples of one prompt.

    With G > 1 a row is a tree: the prompt once, then G tokens per step, one for each sample, which attend to the prompt
    and to the same sample's tokens.
    """

    logits: Tensor  # (R·G, V): of the next tokens
    cache: Any
    mask: Tensor  # (R, P): of a causal model's prompt, later of the whole row if G = 1; of an encoder–decoder's source
    position: Tensor | None  # (R,): of the next tokens; None where the model computes positions itself
    group: int
    source: Tensor | None = None  # (R, P, D): an encoder's output
    steps: int = 0

    def select(self, rows: Tensor) -> None:
        self.cache.batch_select_indices(rows)
        self.mask = self.mask[rows]
        self.position = None if self.position is None else self.position[rows]
        self.source = None if self.source is None else self.source[rows]

    def step(self, model: Any, tokens: Tensor) -> None:
        """Append the tokens (R·G,) and compute the logits of the next ones."""
        self.steps += 1
        rows = tokens.view(-1, self.group)
        if self.source is not None:
            out = model(
                encoder_outputs=(self.source,),
                attention_mask=self.mask,
                decoder_input_ids=rows,
                past_key_values=self.cache,
            )
        else:
            positions = {}
            if self.position is not None:
                positions = {"position_ids": self.position.unsqueeze(1).expand(-1, self.group)}
                self.position = self.position + 1
            out = model(input_ids=rows, attention_mask=self._attention_mask(), past_key_values=self.cache, **positions)
        self.logits = out.logits.flatten(0, 1)

    def _attention_mask(self) -> Tensor:
        """Return the mask (R, P + steps) of plain rows, or the additive mask (R, 1, G, P + G·steps) of trees."""
        if self.group == 1:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
            return self.mask
        rows, g = len(self.mask), self.group
        prompt = ((1.0 - self.mask) * HIDDEN).view(rows, 1, 1, -1).expand(-1, -1, g, -1)
        own = ((1.0 - torch.eye(g)) * HIDDEN).repeat(1, self.steps).expand(rows, 1, -1, -1)
        return torch.cat([prompt, own], dim=3)


def _prefill(model: Any, inputs: Sequence[Sequence[int]], pad_id: int, copies: int, group: int) -> _State:
    """Encode every prompt once, then copy its cache for each of its rows."""
    from transformers import DynamicCache, EncoderDecoderCache

    ids, mask = left_padded(inputs, pad_id)
    source, position = None, None
    if model.config.is_encoder_decoder:
        source = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        cache: Any = EncoderDecoderCache(DynamicCache(), DynamicCache())
        start = torch.full((len(inputs), 1), model.config.decoder_start_token_id)
        out = model(encoder_outputs=(source,), attention_mask=mask, decoder_input_ids=start, past_key_values=cache)
        source = source.repeat_interleave(copies, dim=0)
    else:
        cache = _cache_of(model)
        positions = {}
        if takes_positions(model):
            positions = {"position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}
            position = mask.sum(dim=1).repeat_interleave(copies)
        out = model(input_ids=ids, attention_mask=mask, past_key_values=cache, logits_to_keep=1, **positions)
    if copies > 1:
        cache.batch_repeat_interleave(copies)
    logits = out.logits[:, -1].repeat_interleave(copies * group, dim=0)
    return _State(logits, cache, mask.repeat_interleave(copies, dim=0), position, group, source)


_shares: "weakref.WeakKeyDictionary[Any, bool]" = weakref.WeakKeyDictionary()


def window_of(model: Any) -> float:
    """Return the longest row in which every token attends to all before it; an additive mask would widen a sliding
    window."""
    return getattr(model.config, "sliding_window", None) or math.inf


def _samples_per_row(model: Any, per_prompt: int, pad_id: int, width: Callable[[int], int]) -> int:
    """Return how many samples share a row: the largest allowed divisor of their number, 1 where the model cannot share.

    width: maps a number of samples to the length of their row.
    """
    sizes = [g for g in range(min(per_prompt, MAX_SAMPLES_PER_ROW), 0, -1) if per_prompt % g == 0]
    group = next((g for g in sizes if width(g) <= window_of(model)), 1)
    if group == 1 or model.config.is_encoder_decoder or not takes_positions(model):
        return 1
    if model not in _shares:
        _shares[model] = _can_share_rows(model, pad_id)
    return group if _shares[model] else 1


def _can_share_rows(model: Any, pad_id: int) -> bool:
    """Return whether this model computes the same logits for trees as for plain rows, by a test with two prompts and
    two steps."""
    inputs, tokens = [[0, 1, 2], [1]], torch.tensor([0, 1, 2, 1])
    states = [_prefill(model, inputs, pad_id, 2 // group, group) for group in (1, 2)]
    try:
        for state in states:
            state.step(model, tokens)
            state.step(model, tokens.flip(0))
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return False  # the model does not accept a mask of this form
    return (states[0].logits - states[1].logits).abs().max().item() <= TOLERANCE


def _draw(logits: Tensor, params: SamplingParams, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next tokens (N,) and their log-probabilities (N,). draws: uniform numbers (N,)."""
    logits = logits.float()
    if params.temperature == 0:
        greedy = _without(logits, params.banned).argmax(dim=-1)
        return greedy, torch.log_softmax(logits, dim=-1).gather(1, greedy.unsqueeze(1)).squeeze(1)
    log_probs = torch.log_softmax(logits if params.temperature == 1 else logits / params.temperature, dim=-1)
    # Inverse transform sampling with one uniform number per row, in float64 because a large vocabulary's probabilities
    # sum to far more than each of them.
    sums = _restrict(_without(log_probs, params.banned), params).exp().cumsum(dim=1, dtype=torch.float64)
    tokens = torch.searchsorted(sums, draws.unsqueeze(1) * sums[:, -1:], right=True).clamp(max=sums.shape[1] - 1)
    return tokens.squeeze(1), log_probs.gather(1, tokens).squeeze(1)


def _without(scores: Tensor, banned: Sequence[int]) -> Tensor:
    return scores.index_fill(1, torch.tensor(banned), -torch.inf) if banned else scores


def _restrict(log_probs: Tensor, params: SamplingParams) -> Tensor:
    """Keep the top_k likeliest tokens, and among these the fewest with a total mass of top_p; set the rest to -inf."""
    if params.top_k:
        least = log_probs.topk(min(params.top_k, log_probs.shape[1]), dim=1).values[:, -1:]
        log_probs = log_probs.masked_fill(log_probs < least, -torch.inf)
    if params.top_p < 1:
        ordered, order = log_probs.softmax(dim=1).sort(dim=1, descending=True)
        # A token is removed when the likelier ones already reach the mass; the likeliest always stays.
        removed = ordered.cumsum(dim=1) - ordered >= params.top_p
        log_probs = log_probs.masked_fill(torch.zeros_like(removed).scatter(1, order, removed), -torch.inf)
    return log_probs
