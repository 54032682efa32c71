"""Which words of a response moved its reward."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.engine.data.formatting import text_ids
from training.engine.data.observations import Item
from training.engine.models.encoder import Encoder
from training.engine.models.reward import PreferenceModel
from training.engine.models.small_models import LinearPreference, ProbePreference

# Points of the path from the baseline; Gauss and Legendre's rule is exact for polynomials up to degree 2 POINTS - 1.
POINTS = 64

Span = tuple[int, int]


@dataclass(frozen=True)
class Attribution:
    """words: the response in pieces, which joined give it again, each with its part of the reward (0 for white space
    and for what was cut off). length: the part of its length, where a model has a feature of it. difference: the
    response's reward minus that of its baseline, which all parts add up to, but for the error of integration."""

    words: list[tuple[str, float]]
    length: float
    difference: float


@dataclass(frozen=True)
class Parts:
    """Of one reader: a part for each of the response's tokens, that of the length, and what they add up to."""

    tokens: list[float]
    length: float
    difference: float


def attribute(model: PreferenceModel, item: Item) -> Attribution:
    """Integrated gradients (Sundararajan et al. 2017, eq. 1) along the straight path from a response of average words
    to the response, its prompt unchanged; of an ensemble the mean.

    Linear models are told exactly: of a bag of tokens each token's weighed share against an empty response, of a
    frozen encoder each position's part of the mean state.
    """
    # Copies of an ensemble read the same tokens.
    spans, place = response_spans(model.encoders[0], item)
    parts = []
    for encoder in model.encoders:
        encoder.prepare([item])
        encoder.model.eval()
        parts.append(_method(encoder.model)(encoder, item, place, _reward(model)))
    return Attribution(
        _words(item[1], spans, np.mean([part.tokens for part in parts], axis=0).tolist()),
        float(np.mean([part.length for part in parts])),
        float(np.mean([part.difference for part in parts])),
    )


def response_spans(encoder: Encoder, item: Item) -> tuple[list[Span], slice]:
    """Where each of the response's tokens stands in the response, and where in the item's row."""
    encoder.prepare([item])
    row = encoder.batch([item])["input_ids"][0].tolist()
    tokenized = text_ids(encoder.tokenizer, item[1], return_offsets_mapping=True)
    ids, spans = tokenized["input_ids"], [tuple(span) for span in tokenized["offset_mapping"]]
    after = _tokens_after(encoder)
    count = min(len(ids), len(row) - after)
    # A response that was too long lost its end.
    while count and row[len(row) - after - count : len(row) - after] != ids[:count]:
        count -= 1
    return spans[:count], slice(len(row) - after - count, len(row) - after)


def _tokens_after(encoder: Encoder) -> int:
    """How many special tokens follow the response in a row."""
    if encoder.causal:
        end = encoder.tokenizer.eos_token_id
        return 0 if end is None or end == encoder.tokenizer.pad_token_id else 1
    row = encoder.tokenizer("a", "a")["input_ids"]
    response = encoder.tokenizer("a", add_special_tokens=False)["input_ids"]
    return next(n for n in range(len(row)) if row[len(row) - n - len(response) : len(row) - n] == response)


Weighed = Callable[[Tensor], Tensor]


def _reward(model: PreferenceModel) -> Weighed:
    """Outputs (N, heads * H) of one of its readers to rewards (N,)."""
    weights = torch.tensor(model.settings.weights)
    return lambda outputs: (outputs.float().cpu().view(len(outputs), -1, len(weights)) @ weights).mean(dim=1)


def _method(model: Any) -> Callable[[Encoder, Item, slice, Weighed], Parts]:
    if isinstance(model, LinearPreference):
        return _linear
    return _probe if isinstance(model, ProbePreference) else _integrated


@torch.no_grad()
def _linear(encoder: Encoder, item: Item, place: slice, reward: Weighed) -> Parts:
    """A token's weighed count is shared by its occurrences."""
    batch = encoder.batch([item])
    ids = batch["input_ids"][0, place]
    empty = torch.ones_like(batch["input_ids"])
    empty[0, place] = 0
    features = encoder.model.features(batch["input_ids"], batch["attention_mask"])
    nothing = encoder.model.features(batch["input_ids"], batch["attention_mask"] * empty)
    size = encoder.model.config.vocab_size
    difference = (features - nothing)[0]
    # Feature by feature, since the model is linear: (vocabulary + 2, outputs) weighed to (vocabulary + 2,).
    each = reward(torch.diag(difference) @ encoder.model.score.weight.T)
    counts = torch.bincount(ids, minlength=size).float()
    tokens = each[:size][ids] / counts[ids]
    whole = reward(encoder.model.score(features)) - reward(encoder.model.score(nothing))
    return Parts(tokens.tolist(), float(each[size:].sum()), float(whole))


@torch.no_grad()
def _probe(encoder: Encoder, item: Item, place: slice, reward: Weighed) -> Parts:
    """The features are a mean over positions, so that each adds its own state; the rest of the row is the baseline."""
    batch = encoder.batch([item])
    inputs, mask = batch.pop("input_ids"), batch.pop("attention_mask")
    rows = encoder.model.states(inputs, mask, **batch)[0]  # (T, D)
    each = reward(torch.cat([rows, rows.new_zeros(len(rows), 1)], dim=1) @ encoder.model.score.weight.T)
    return Parts(each[place].tolist(), 0.0, float(each[place].sum()))


def _integrated(encoder: Encoder, item: Item, place: slice, reward: Weighed) -> Parts:
    embedding = encoder.model.get_input_embeddings()
    batch = {name: value.repeat(POINTS + 2, 1) for name, value in encoder.batch([item]).items()}
    whole = embedding(batch["input_ids"][:1]).detach()  # (1, T, D)
    baseline = whole.clone()
    average = embedding.weight.detach().mean(dim=0)
    if encoder.causal:
        # As long as a word is: causal models divide by a state's length first, and that has no gradient near zero.
        average = average * embedding.weight.detach().norm(dim=1).mean() / average.norm().clamp(min=1e-8)
    baseline[:, place] = average
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    alpha = torch.tensor([*(nodes + 1) / 2, 0.0, 1.0], dtype=whole.dtype, device=whole.device)[:, None, None]
    path = (baseline + alpha * (whole - baseline)).requires_grad_()
    handle = embedding.register_forward_hook(lambda *_: path)
    try:
        rewards = reward(encoder.model(**batch).logits)
    finally:
        handle.remove()
    (gradients,) = torch.autograd.grad(rewards[:POINTS].sum(), path)
    mean = (gradients[:POINTS] * torch.tensor(weights / 2, dtype=whole.dtype, device=whole.device)[:, None, None]).sum(
        0
    )
    parts = (mean * (whole - baseline)[0]).sum(dim=1)
    return Parts(parts[place].tolist(), 0.0, float((rewards[-1] - rewards[-2]).detach()))


def _words(text: str, spans: Sequence[Span], parts: Sequence[float]) -> list[tuple[str, float]]:
    """The text in pieces with the sums of their tokens' parts: words of alphabets whole, other characters as the
    tokenizer divides them, white space in between."""
    pieces: list[tuple[int, int, float]] = []
    for (start, end), part in zip(spans, parts, strict=True):
        while start < end and text[start].isspace():
            start += 1
        if start == end:
            # A token of white space alone moves with the word before it, or else the one behind it.
            start = end = pieces[-1][1] if pieces else start
        if pieces and (start < pieces[-1][1] or _inside_word(text, start, pieces[-1]) or start == end):
            first, last, sum_ = pieces[-1]
            pieces[-1] = (first, max(last, end), sum_ + part)
        else:
            pieces.append((start, end, part))
    words, done = [], 0
    for start, end, part in pieces:
        if start > done:
            words.append((text[done:start], 0.0))
        words.append((text[start:end], part))
        done = end
    return [*words, (text[done:], 0.0)] if done < len(text) else words


def _inside_word(text: str, start: int, piece: tuple[int, int, float]) -> bool:
    """Whether a token goes on with the word of the piece before it, in a script that writes words apart."""
    if start != piece[1] or start == 0 or start >= len(text):
        return False
    return all(c.isalnum() and ord(c) < 0x2E80 for c in text[start - 1 : start + 1])
