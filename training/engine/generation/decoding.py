"""The decoding loop: a prompt is read and kept once for all its samples, log-probabilities are kept, what ended leaves.

`generate` of transformers would read the prompt once for every sample, throw the log-probabilities away and go on
computing rows that have ended.
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

RETIRE_SHARE = 0.125  # copying the cache costs about a step, so finished rows leave in groups
ROOM = 128  # tokens by which a cache grows
LARGEST_GROUP = 8  # samples that share a row: each also computes attention to the others' tokens, masked
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. temperature 0 is greedy; top_k 0 and top_p 1 leave the distribution as it is."""

    max_new_tokens: int = 64
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    banned: tuple[int, ...] = ()  # tokens that are never drawn, such as a control token


@dataclass(frozen=True, slots=True)
class Drawn:
    """One sample: its tokens, the end token included, and the log-probability of each under the whole distribution
    at the sampling temperature (top-k and top-p only choose among tokens, they do not rescale what is kept)."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]


def prompt_seeds(label: str, count: int) -> list[int]:
    """`count` seeds in [0, 2³¹), a function of the label: one for each prompt, so that a sample depends neither on the
    batch nor on the process that it is drawn in, and a prompt that is repeated gets other samples."""
    rng = random.Random(label)
    return [rng.getrandbits(31) for _ in range(count)]


def uniforms(seeds: Sequence[int], per_prompt: int, tokens: int) -> Tensor:
    """Uniform numbers in [0, 1), (B·K, T) float64: those of a prompt are a function of its seed alone."""
    generators = (torch.Generator().manual_seed(seed) for seed in seeds)
    return torch.cat([torch.rand(per_prompt, tokens, generator=g, dtype=torch.float64) for g in generators])


@torch.inference_mode()
def decode(
    model: Any,
    inputs: Sequence[Sequence[int]],
    *,
    per_prompt: int,
    how: Sampling,
    end_ids: set[int],
    pad_id: int,
    draws: Tensor,
) -> list[Drawn]:
    """`per_prompt` samples of each prompt (token ids), prompt by prompt. draws: uniform numbers (B·K, max_new_tokens)
    that decide each token."""
    longest = max(map(len, inputs))
    group = _group_of(model, per_prompt, pad_id, lambda g: longest + g * how.max_new_tokens)
    state = _prefilled(model, inputs, pad_id, per_prompt // group, group)
    count = len(inputs) * per_prompt
    ends = torch.tensor(sorted(end_ids))
    live = torch.arange(count).view(-1, group)  # the samples of the rows that still write
    tokens = torch.full((count, how.max_new_tokens), pad_id)
    log_probs = torch.zeros(count, how.max_new_tokens)
    lengths = torch.full((count,), how.max_new_tokens)
    done = torch.zeros(count, dtype=torch.bool)
    for t in range(how.max_new_tokens):
        of_rows = live.flatten()
        drawn, log_prob = _draw(state.logits, how, draws[of_rows, t])
        tokens[of_rows, t], log_probs[of_rows, t] = drawn, log_prob
        ended = torch.isin(drawn, ends) & ~done[of_rows]
        lengths[of_rows[ended]] = t + 1
        done[of_rows[ended]] = True
        staying = ~done[live].all(dim=1)
        left = int(staying.sum())
        if left == 0 or t + 1 == how.max_new_tokens:
            break
        if len(live) - left >= RETIRE_SHARE * len(live):
            kept = staying.nonzero().squeeze(1)
            live, drawn = live[kept], drawn.view(-1, group)[kept].flatten()
            state.select(kept)
        state.step(model, drawn)
    return [
        Drawn(tuple(tokens[n, : lengths[n]].tolist()), tuple(log_probs[n, : lengths[n]].tolist())) for n in range(count)
    ]


def left_padded(inputs: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and mask, both (B, P), padded on the left so that every prompt ends where the response starts."""
    width = max(map(len, inputs))
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in inputs])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in inputs])
    return ids, mask


def takes_positions(model: Any) -> bool:
    return "position_ids" in inspect.signature(model.forward).parameters


def _cache_of(model: Any) -> Any:
    """An empty cache of the model's whose layers grow by ROOM tokens at a time: the library's copy all that they hold
    at every step."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    class Roomy(DynamicLayer):
        keys: Any
        values: Any
        told: Tensor | None = None
        room: tuple[Tensor, Tensor]

        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            added = key_states, value_states
            if not self.is_initialized:
                self.lazy_initialization(*added)
                self.keys, self.values = added
                return added
            seen = self.keys.shape[2]
            end = seen + key_states.shape[2]
            # Where rows were selected meanwhile, `keys` is a tensor of its own.
            if self.keys is not self.told or end > self.room[0].shape[2]:
                shapes = [(*states.shape[:2], end + ROOM, states.shape[3]) for states in added]
                self.room = key_states.new_empty(shapes[0]), value_states.new_empty(shapes[1])
                for room, held in zip(self.room, (self.keys, self.values), strict=True):
                    room[:, :, :seen] = held
            for room, states in zip(self.room, added, strict=True):
                room[:, :, seen:end] = states
            self.told, self.values = (room[:, :, :end] for room in self.room)
            self.keys = self.told
            return self.keys, self.values

    cache = DynamicCache(config=model.config)
    cache.layers = [Roomy() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


@dataclass
class _State:
    """What the next step needs of the R rows that still write, each with G samples of one prompt.

    With G > 1 a row is a tree: the prompt once, then G tokens a step, one of each sample, which see the prompt and what
    the same sample wrote.
    """

    logits: Tensor  # (R·G, V): of the next tokens
    cache: Any
    mask: Tensor  # (R, P): of a causal model's prompt, later of the whole row if G = 1; of an encoder–decoder's source
    position: Tensor | None  # (R,): of the tokens to come; None where the model counts by itself
    group: int
    source: Tensor | None = None  # (R, P, D): an encoder's output
    steps: int = 0

    def select(self, kept: Tensor) -> None:
        self.cache.batch_select_indices(kept)
        self.mask = self.mask[kept]
        self.position = None if self.position is None else self.position[kept]
        self.source = None if self.source is None else self.source[kept]

    def step(self, model: Any, tokens: Tensor) -> None:
        """Read the tokens (R·G,) and find the logits of the next ones."""
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
            place = {}
            if self.position is not None:
                place = {"position_ids": self.position.unsqueeze(1).expand(-1, self.group)}
                self.position = self.position + 1
            out = model(input_ids=rows, attention_mask=self._seen(), past_key_values=self.cache, **place)
        self.logits = out.logits.flatten(0, 1)

    def _seen(self) -> Tensor:
        """The mask (R, P + steps) of plain rows, or the additive one (R, 1, G, P + G·steps) of trees."""
        if self.group == 1:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
            return self.mask
        rows, g = len(self.mask), self.group
        prompt = ((1.0 - self.mask) * HIDDEN).view(rows, 1, 1, -1).expand(-1, -1, g, -1)
        own = ((1.0 - torch.eye(g)) * HIDDEN).repeat(1, self.steps).expand(rows, 1, -1, -1)
        return torch.cat([prompt, own], dim=3)


def _prefilled(model: Any, inputs: Sequence[Sequence[int]], pad_id: int, copies: int, group: int) -> _State:
    """Every prompt read once, then its cache copied for each of its rows."""
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
        place = {}
        if takes_positions(model):
            place = {"position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}
            position = mask.sum(dim=1).repeat_interleave(copies)
        out = model(input_ids=ids, attention_mask=mask, past_key_values=cache, logits_to_keep=1, **place)
    if copies > 1:
        cache.batch_repeat_interleave(copies)
    logits = out.logits[:, -1].repeat_interleave(copies * group, dim=0)
    return _State(logits, cache, mask.repeat_interleave(copies, dim=0), position, group, source)


_shares: "weakref.WeakKeyDictionary[Any, bool]" = weakref.WeakKeyDictionary()


def window_of(model: Any) -> float:
    """The longest row in which every token sees all before it; a mask of ours would widen a sliding window."""
    return getattr(model.config, "sliding_window", None) or math.inf


def _group_of(model: Any, per_prompt: int, pad_id: int, width: Callable[[int], int]) -> int:
    """How many samples share a row: the largest divisor of their number that is allowed, 1 where the model cannot.

    width: of a row of that many samples."""
    sizes = [g for g in range(min(per_prompt, LARGEST_GROUP), 0, -1) if per_prompt % g == 0]
    group = next((g for g in sizes if width(g) <= window_of(model)), 1)
    if group == 1 or model.config.is_encoder_decoder or not takes_positions(model):
        return 1
    if model not in _shares:
        _shares[model] = _can_share(model, pad_id)
    return group if _shares[model] else 1


def _can_share(model: Any, pad_id: int) -> bool:
    """Does this model find the same logits for trees as for plain rows? Tried with two prompts and two steps."""
    inputs, tokens = [[0, 1, 2], [1]], torch.tensor([0, 1, 2, 1])
    states = [_prefilled(model, inputs, pad_id, 2 // group, group) for group in (1, 2)]
    try:
        for state in states:
            state.step(model, tokens)
            state.step(model, tokens.flip(0))
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return False  # it takes no mask of this form
    return (states[0].logits - states[1].logits).abs().max().item() <= TOLERANCE


def _draw(logits: Tensor, how: Sampling, draws: Tensor) -> tuple[Tensor, Tensor]:
    """The next tokens (N,) and their log-probabilities (N,). draws: uniform numbers (N,)."""
    logits = logits.float()
    if how.temperature == 0:
        greedy = _without(logits, how.banned).argmax(dim=-1)
        return greedy, torch.log_softmax(logits, dim=-1).gather(1, greedy.unsqueeze(1)).squeeze(1)
    log_probs = torch.log_softmax(logits if how.temperature == 1 else logits / how.temperature, dim=-1)
    # Where a uniform number falls among the sums of the chances: one number a row. In float64, since a large
    # vocabulary's chances add up to far more than each of them.
    sums = _cut(_without(log_probs, how.banned), how).exp().cumsum(dim=1, dtype=torch.float64)
    drawn = torch.searchsorted(sums, draws.unsqueeze(1) * sums[:, -1:], right=True).clamp(max=sums.shape[1] - 1)
    return drawn.squeeze(1), log_probs.gather(1, drawn).squeeze(1)


def _without(scores: Tensor, banned: Sequence[int]) -> Tensor:
    return scores.index_fill(1, torch.tensor(banned), -torch.inf) if banned else scores


def _cut(log_probs: Tensor, how: Sampling) -> Tensor:
    """Only the top_k likeliest tokens, and of these the fewest that hold top_p of the mass; the rest at -inf."""
    if how.top_k:
        least = log_probs.topk(min(how.top_k, log_probs.shape[1]), dim=1).values[:, -1:]
        log_probs = log_probs.masked_fill(log_probs < least, -torch.inf)
    if how.top_p < 1:
        ordered, order = log_probs.softmax(dim=1).sort(dim=1, descending=True)
        # A token goes when the likelier ones already hold the mass; the likeliest always stays.
        enough = ordered.cumsum(dim=1) - ordered >= how.top_p
        log_probs = log_probs.masked_fill(torch.zeros_like(enough).scatter(1, order, enough), -torch.inf)
    return log_probs
