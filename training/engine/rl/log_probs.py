"""Log-probabilities of given responses under a model, with each prompt encoded once for all its responses.

A prompt is encoded into the model's cache, and its responses continue copies of the cache, with gradients: responses of
similar length share a batch, whatever their prompts. One row for a prompt with all its responses, as in
training.engine.models.trees, would compute attention between all responses only to mask it. Before the first step a
test decides whether the model computes the same as with one row per response; otherwise each response gets its own row.
"""

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.engine.generation.decoding import TOLERANCE, takes_positions, window_of
from training.engine.generation.rows import Group, PackedBatch, pack_rows, pack_shared_prompts
from training.engine.runtime.onednn import in_bfloat16, uses_onednn

MAX_TOKENS, MIN_TOKENS = 8192, 256  # tokens per pass; the minimum applies to models of any size
INNER = ("intermediate_size", "n_inner", "ffn_dim", "d_ff")  # config names of the width of a feed-forward layer
MAX_BYTES = 2.5e9  # memory for a pass with gradient
# Widths from which bfloat16 is faster, in oneDNN's products and with autocast.
BFLOAT16_MIN_WIDTH, AUTOCAST_MIN_WIDTH = 256, 512


@dataclass(frozen=True)
class TokenValues:
    """The outputs of a pass for its M response tokens."""

    log_probs: Tensor  # (M,)
    entropy: Tensor  # (M,), without gradient
    hidden: Tensor  # (M, D): the states that predict the tokens


class LogProbs:
    def __init__(self, model: Any, *, pad_id: int, temperature: float, precision: str, budget: int = 0) -> None:
        """budget: tokens per pass; 0 uses as many as fit into MAX_BYTES."""
        self.model, self.pad_id, self.temperature = model, pad_id, temperature
        self.budget = budget or max_tokens_per_pass(model.config)
        encoder_decoder = bool(model.config.is_encoder_decoder)
        self.start_id = model.config.decoder_start_token_id if encoder_decoder else None
        self.positions = takes_positions(model)
        self.precision = resolve_precision(precision, model)
        self.shared = self.head_on_responses = not encoder_decoder

    def at_temperature(self, temperature: float) -> "LogProbs":
        """Return a copy that divides the logits by another temperature."""
        other = copy.copy(self)
        other.temperature = temperature
        return other

    def batches(self, groups: Sequence[Group], width: int) -> list[PackedBatch]:
        """Pack all responses of the groups into as few batches as the budget allows.

        width: T of the (N, T) that `PackedBatch.index` refers to; N counts the responses group by group.
        """
        longest = max(len(group.prompt) for group in groups) + width
        if self.shared and longest <= window_of(self.model):
            return list(pack_shared_prompts(groups, width, pad_id=self.pad_id, budget=self.budget))
        return list(pack_rows(groups, width, pad_id=self.pad_id, budget=self.budget, start_id=self.start_id))

    def forward(self, batch: PackedBatch, model: Any = None) -> TokenValues:
        """Run one forward pass, with gradient where it is enabled, of this model or another one of the same kind.

        Without gradient everything is float32, as in sampling: rounding must not look like a divergence.
        """
        with self._autocast() if torch.is_grad_enabled() else nullcontext():
            hidden, logits = self._hidden_and_logits(self.model if model is None else model, batch)
        log_probs = torch.log_softmax(self._scaled(logits), dim=-1)
        chosen = log_probs.gather(1, batch.targets.unsqueeze(1)).squeeze(1)
        with torch.no_grad():
            entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
        return TokenValues(chosen, entropy, hidden.float())

    def distributions(self, batch: PackedBatch, model: Any) -> Tensor:
        """Return log-probabilities of all tokens (M, V) at the positions of the response tokens, in float32."""
        return torch.log_softmax(self._scaled(self._hidden_and_logits(model, batch)[1]), dim=-1)

    @torch.no_grad()
    def table(self, groups: Sequence[Group], width: int, model: Any = None) -> Tensor:
        """Return log-probabilities of all responses, (N, T), 0 on padding, under this or another model of its kind."""
        count = sum(len(group.responses) for group in groups)
        log_probs = torch.zeros(count * width)
        for batch in self.batches(groups, width):
            logits = self._scaled(self._hidden_and_logits(self.model if model is None else model, batch)[1])
            chosen = logits.gather(1, batch.targets.unsqueeze(1)).squeeze(1)
            log_probs[batch.index] = chosen - logits.logsumexp(dim=-1)
        return log_probs.view(count, width)

    @torch.no_grad()
    def select_optimizations(self, group: Group) -> str:
        """Keep the optimizations that reproduce this model's plain outputs; return a description of them."""
        width = max(map(len, group.responses))
        shared, head_on_responses = self.shared, self.head_on_responses
        self.shared = self.head_on_responses = False
        plain = self.table([group], width)
        candidates = dict.fromkeys([(shared, head_on_responses), (False, head_on_responses), (False, False)])
        for self.shared, self.head_on_responses in candidates:
            if self._agrees(group, width, plain):
                break
        rows = "prompts are encoded once" if self.shared else "one row per response"
        return f"{rows}, {self.precision}"

    def _agrees(self, group: Group, width: int, plain: Tensor) -> bool:
        try:
            return (self.table([group], width) - plain).abs().max().item() <= TOLERANCE
        except (RuntimeError, TypeError, ValueError, AttributeError):
            return False  # the model does not accept a mask of this form, or its head is not separate from its body

    def _scaled(self, logits: Tensor) -> Tensor:
        logits = logits.float()
        return logits if self.temperature == 1 else logits / self.temperature

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision != "bfloat16":
            return nullcontext()
        if uses_onednn(self.model):
            return in_bfloat16()
        return torch.autocast("cpu", dtype=torch.bfloat16)

    def _hidden_and_logits(self, model: Any, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        """Return the hidden states (M, D) and logits (M, V) that predict the response tokens."""
        if batch.source is not None:
            ids, mask = batch.source
            out = model(
                input_ids=ids, attention_mask=mask, decoder_input_ids=batch.ids, decoder_attention_mask=batch.mask,
                output_hidden_states=True,
            )  # fmt: skip
            return out.decoder_hidden_states[-1].flatten(0, 1)[batch.predicted_from], out.logits.flatten(0, 1)[
                batch.predicted_from
            ]
        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask, "use_cache": False}
        if self.positions:
            inputs["position_ids"] = batch.positions
        if batch.suffixes:
            hidden = self._forward_suffixes(model.get_decoder(), batch)[batch.predicted_from]
            return hidden, model.get_output_embeddings()(hidden)
        if self.head_on_responses:
            # The head is the widest layer, and its outputs on prompts and padding are not needed.
            hidden = model.get_decoder()(**inputs).last_hidden_state.flatten(0, 1)[batch.predicted_from]
            return hidden, model.get_output_embeddings()(hidden)
        out = model(**inputs, output_hidden_states=True)
        return out.hidden_states[-1].flatten(0, 1)[batch.predicted_from], out.logits.flatten(0, 1)[batch.predicted_from]

    def _forward_suffixes(self, body: Any, batch: PackedBatch) -> Tensor:
        """Return the hidden states of the rows' positions followed by the suffixes', flattened."""
        from transformers import DynamicCache

        def forward(ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Tensor:
            inputs = {"position_ids": positions} if self.positions else {}
            out = body(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **inputs)
            return out.last_hidden_state.flatten(0, 1)

        prompts: Any = DynamicCache(config=self.model.config)
        states = [forward(batch.ids, batch.mask, batch.positions, prompts)]
        for suffix in batch.suffixes:
            cache = DynamicCache(config=self.model.config)
            for number, layer in enumerate(prompts.layers):
                keys, values = (cached.index_select(0, suffix.prompt) for cached in (layer.keys, layer.values))
                cache.update(keys, values, number)
            mask = torch.cat([batch.mask[suffix.prompt], suffix.mask], dim=1)
            states.append(forward(suffix.ids, mask, suffix.positions, cache))
        return torch.cat(states)


def max_tokens_per_pass(config: Any) -> int:
    """Return how many tokens a pass with gradient may contain."""
    return int(min(MAX_TOKENS, max(MIN_TOKENS, MAX_BYTES / bytes_per_token(config))))


def bytes_per_token(config: Any) -> float:
    """Estimate the memory of a pass with gradient, in bytes per token.

    Each layer takes twelve times the width (norms, attention, residual sums) and four times the inner width; the
    vocabulary takes logits, log-probabilities and a gradient.
    """
    config = config.get_text_config()
    layers, width = config.num_hidden_layers, config.hidden_size
    inner = next((n for name in INNER if (n := getattr(config, name, None))), 4 * width)
    return 4 * (layers * (12 * width + 4 * inner) + 3 * config.vocab_size)


def resolve_precision(precision: str, model: Any) -> str:
    """Resolve "auto" to bfloat16 where the processor supports it natively and the model is wide enough to gain."""
    if precision != "auto":
        return precision
    wide = getattr(model.config, "hidden_size", 0) >= (BFLOAT16_MIN_WIDTH if uses_onednn(model) else AUTOCAST_MIN_WIDTH)
    return "bfloat16" if wide and torch.cpu._is_avx512_bf16_supported() else "float32"
