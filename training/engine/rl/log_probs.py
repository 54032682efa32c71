"""Log-probabilities of given responses under a model, with the prompt read once for all responses to it.

A prompt is read into the model's cache, and its responses are read behind copies of that, gradients and all: responses
of like length in one batch, whatever their prompts. In one row for a prompt with all its responses, as in
training.engine.models.trees, every token would attend to all the others, only to mask most of them. Whether a model
computes the same from this as from rows of one response each is tried before the first step; else every response gets
its own row.
"""

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.engine.generation.decoding import TOLERANCE, takes_positions, window_of
from training.engine.generation.rows import Group, Rows, apart, branched
from training.engine.runtime.onednn import in_bfloat16, is_hastened

AT_ONCE, AT_LEAST = 8192, 256  # tokens that a pass reads at once: at most, and of however large a model
INNER = ("intermediate_size", "n_inner", "ffn_dim", "d_ff")  # what configs call the width of a feed-forward layer
MEMORY = 2.5e9  # bytes that a pass with gradient may hold
PAYS_FROM, AUTOCAST_PAYS_FROM = 256, 512  # widths from which bfloat16 is faster, in products alone and by autocast


@dataclass(frozen=True)
class TokenValues:
    """What a pass tells of its M response tokens."""

    log_probs: Tensor  # (M,)
    entropy: Tensor  # (M,), without gradient
    hidden: Tensor  # (M, D): the state from which the token was predicted


class Passes:
    def __init__(self, model: Any, *, pad_id: int, temperature: float, precision: str, budget: int = 0) -> None:
        """budget: tokens that are read at once, whatever the batch; 0 takes what MEMORY holds."""
        self.model, self.pad_id, self.temperature = model, pad_id, temperature
        self.budget = budget or affordable(model.config)
        encoder_decoder = bool(model.config.is_encoder_decoder)
        self.start_id = model.config.decoder_start_token_id if encoder_decoder else None
        self.positions = takes_positions(model)
        self.precision = chosen_precision(precision, model)
        self.shared = self.head_alone = not encoder_decoder

    def at_temperature(self, temperature: float) -> "Passes":
        """The same passes with the logits divided by another temperature."""
        other = copy.copy(self)
        other.temperature = temperature
        return other

    def rows_of(self, groups: Sequence[Group], width: int) -> list[Rows]:
        """All responses of the groups in as few rows as the budget allows, like lengths together.

        width: T of the (N, T) that `place` points into; N counts the responses group by group.
        """
        longest = max(len(group.prompt) for group in groups) + width
        if self.shared and longest <= window_of(self.model):
            return list(branched(groups, width, pad_id=self.pad_id, budget=self.budget))
        return list(apart(groups, width, pad_id=self.pad_id, budget=self.budget, start_id=self.start_id))

    def over(self, rows: Rows, model: Any = None) -> TokenValues:
        """One forward pass, with gradient where it is enabled. Another model of the same kind may be given.

        Without gradient everything is float32, as sampling is: rounding must not look like a divergence.
        """
        with self._narrowed() if torch.is_grad_enabled() else nullcontext():
            hidden, logits = self._read(self.model if model is None else model, rows)
        log_probs = torch.log_softmax(self._tempered(logits), dim=-1)
        chosen = log_probs.gather(1, rows.tokens.unsqueeze(1)).squeeze(1)
        with torch.no_grad():
            entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
        return TokenValues(chosen, entropy, hidden.float())

    def distributions(self, rows: Rows, model: Any) -> Tensor:
        """Log-probabilities of all tokens (M, V) at the places of the response tokens, in float32."""
        return torch.log_softmax(self._tempered(self._read(model, rows)[1]), dim=-1)

    @torch.no_grad()
    def table(self, groups: Sequence[Group], width: int, model: Any = None) -> Tensor:
        """Log-probabilities of all responses, (N, T), 0 on padding. Another model of the same kind may be given."""
        count = sum(len(group.responses) for group in groups)
        log_probs = torch.zeros(count * width)
        for rows in self.rows_of(groups, width):
            logits = self._tempered(self._read(self.model if model is None else model, rows)[1])
            chosen = logits.gather(1, rows.tokens.unsqueeze(1)).squeeze(1)
            log_probs[rows.place] = chosen - logits.logsumexp(dim=-1)
        return log_probs.view(count, width)

    @torch.no_grad()
    def check(self, group: Group) -> str:
        """Keep of the short cuts what gives this model's own numbers; says in words what was kept."""
        width = max(map(len, group.responses))
        wanted = (self.shared, self.head_alone)
        self.shared = self.head_alone = False
        plain = self.table([group], width)
        for self.shared, self.head_alone in dict.fromkeys([wanted, (False, wanted[1]), (False, False)]):
            if self._agrees(group, width, plain):
                break
        rows = "prompts are read once" if self.shared else "one row a response"
        return f"{rows}, {self.precision}"

    def _agrees(self, group: Group, width: int, plain: Tensor) -> bool:
        try:
            return (self.table([group], width) - plain).abs().max().item() <= TOLERANCE
        except (RuntimeError, TypeError, ValueError, AttributeError):
            return False  # the model takes no mask of this form, or has no head apart from its body

    def _tempered(self, logits: Tensor) -> Tensor:
        logits = logits.float()
        return logits if self.temperature == 1 else logits / self.temperature

    def _narrowed(self) -> AbstractContextManager[Any]:
        if self.precision != "bfloat16":
            return nullcontext()
        if is_hastened(self.model):
            return in_bfloat16()
        return torch.autocast("cpu", dtype=torch.bfloat16)

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
        if rows.branches:
            hidden = self._branched(model.get_decoder(), rows)[rows.read]
            return hidden, model.get_output_embeddings()(hidden)
        if self.head_alone:
            # The head is the widest layer; on prompts and padding its output would be thrown away.
            hidden = model.get_decoder()(**inputs).last_hidden_state.flatten(0, 1)[rows.read]
            return hidden, model.get_output_embeddings()(hidden)
        out = model(**inputs, output_hidden_states=True)
        return out.hidden_states[-1].flatten(0, 1)[rows.read], out.logits.flatten(0, 1)[rows.read]

    def _branched(self, body: Any, rows: Rows) -> Tensor:
        """Hidden states of the rows' positions and, behind them, of the branches', each flattened."""
        from transformers import DynamicCache

        def read(ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Tensor:
            place = {"position_ids": positions} if self.positions else {}
            out = body(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **place)
            return out.last_hidden_state.flatten(0, 1)

        prompts: Any = DynamicCache(config=self.model.config)
        states = [read(rows.ids, rows.mask, rows.positions, prompts)]
        for branch in rows.branches:
            cache = DynamicCache(config=self.model.config)
            for number, layer in enumerate(prompts.layers):
                keys, values = (held.index_select(0, branch.prompt) for held in (layer.keys, layer.values))
                cache.update(keys, values, number)
            mask = torch.cat([rows.mask[branch.prompt], branch.mask], dim=1)
            states.append(read(branch.ids, mask, branch.positions, cache))
        return torch.cat(states)


def affordable(config: Any) -> int:
    """How many tokens a pass with gradient may read at once."""
    return int(min(AT_ONCE, max(AT_LEAST, MEMORY / held(config))))


def held(config: Any) -> float:
    """Bytes a token that a pass with gradient holds, about: in each layer twelve times the width (norms, attention,
    residual sums) and four times the inner width; of the vocabulary logits, their logarithms and a gradient."""
    config = config.get_text_config()
    layers, width = config.num_hidden_layers, config.hidden_size
    inner = next((n for name in INNER if (n := getattr(config, name, None))), 4 * width)
    return 4 * (layers * (12 * width + 4 * inner) + 3 * config.vocab_size)


def chosen_precision(wanted: str, model: Any) -> str:
    """bfloat16 where the processor multiplies it natively and the model is wide enough that it pays."""
    if wanted != "auto":
        return wanted
    wide = getattr(model.config, "hidden_size", 0) >= (PAYS_FROM if is_hastened(model) else AUTOCAST_PAYS_FROM)
    return "bfloat16" if wide and torch.cpu._is_avx512_bf16_supported() else "float32"
