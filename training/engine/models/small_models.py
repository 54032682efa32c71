"""Preference models that need no pretrained base: linear regression on text features, convolutions, recurrent nets;
and the same regression on a frozen encoder. Each is a registered model class of transformers, saved as safetensors.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

KINDS = ("linear", "cnn", "rnn")


class SmallConfig(PretrainedConfig):
    """width: of token vectors and hidden layers; separator_id: the token between prompt and response; base: the
    settings of the frozen encoder (probe only)."""

    model_type = "palate-small"

    vocab_size: int = 2000
    width: int = 128
    separator_id: int = 0
    pad_token_id: int | None = 0
    base: dict[str, Any] | None = None


class LinearConfig(SmallConfig):
    model_type = "palate-linear"


class CnnConfig(SmallConfig):
    model_type = "palate-cnn"


class RnnConfig(SmallConfig):
    model_type = "palate-rnn"


class ProbeConfig(SmallConfig):
    model_type = "palate-probe"


class _Small(PreTrainedModel):
    config_class = SmallConfig
    score: nn.Linear
    embed: nn.Embedding

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> SequenceClassifierOutput:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return SequenceClassifierOutput(logits=self.score(self.features(input_ids, mask)))

    def features(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Features (N, D) of token rows (N, T)."""
        raise NotImplementedError

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def _response(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """1 for the tokens of the response, which follow the last separator; (N, T)."""
        separators = (input_ids == self.config.separator_id).long()
        behind = (separators.flip(1).cumsum(1).flip(1) == 0).long()
        return behind * mask

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(std=0.02)
            if module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, nn.Embedding):
            module.weight.data.normal_(std=0.1)


class LinearPreference(_Small):
    """w·x + b on the response's tokens, weighed by tf-idf, and its length: the article's baseline.

    The weights start at zero, so an unseen token says nothing.
    """

    config_class = LinearConfig
    idf: Tensor

    def __init__(self, config: LinearConfig) -> None:
        super().__init__(config)
        self.register_buffer("idf", torch.ones(config.vocab_size))
        self.score = nn.Linear(config.vocab_size + 2, config.num_labels or 1)
        self.post_init()

    def features(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        inside = self._response(input_ids, mask).float()
        counts = input_ids.new_zeros(len(input_ids), self.config.vocab_size, dtype=torch.float32)
        counts.scatter_add_(1, input_ids, inside)
        weighed = torch.log1p(counts) * self.idf
        weighed = weighed / weighed.norm(dim=1, keepdim=True).clamp(min=1e-6)
        tokens, distinct = counts.sum(1), (counts > 0).float().sum(1)
        length = torch.log1p(tokens) - 4
        return torch.cat([weighed, length[:, None], (distinct / tokens.clamp(min=1))[:, None]], dim=1)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            module.weight.data.zero_()
            module.bias.data.zero_()


class CnnPreference(_Small):
    """Convolutions of three widths over token vectors, the maximum over the text (Kim 2014)."""

    config_class = CnnConfig

    def __init__(self, config: CnnConfig) -> None:
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.width, config.width, width, padding=width // 2) for width in (1, 3, 5)
        )
        self.dropout = nn.Dropout(0.2)
        self.score = nn.Linear(3 * config.width + 1, config.num_labels or 1)
        self.post_init()

    def features(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        response = self._response(input_ids, mask)
        vectors = (self.embed(input_ids) * mask[..., None]).transpose(1, 2)  # (N, D, T)
        hidden = [torch.relu(convolution(vectors)) * mask[:, None] for convolution in self.convolutions]
        pooled = torch.cat([h.amax(dim=2) for h in hidden], dim=1)
        return torch.cat([self.dropout(pooled), _log_length(response)], dim=1)


class RnnPreference(_Small):
    """A gated recurrent unit in both directions, averaged over the text (Cho et al. 2014)."""

    config_class = RnnConfig

    def __init__(self, config: RnnConfig) -> None:
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.rnn = nn.GRU(config.width, config.width // 2, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.2)
        self.score = nn.Linear(config.width + 1, config.num_labels or 1)
        self.post_init()

    def features(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embed(input_ids), lengths, batch_first=True, enforce_sorted=False
        )
        hidden, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=mask.shape[1])
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return torch.cat([self.dropout(mean), _log_length(self._response(input_ids, mask))], dim=1)


class ProbePreference(_Small):
    """w·x + b on the states of a frozen encoder, averaged over the text, from every layer (Tenney et al. 2019)."""

    config_class = ProbeConfig
    mean: Tensor
    spread: Tensor

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__(config)
        base = AutoConfig.for_model(**(config.base or {}))
        self.encoder = AutoModel.from_config(base).requires_grad_(False)
        size = base.num_hidden_layers * base.hidden_size
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))
        self.score = nn.Linear(size + 1, config.num_labels or 1)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Any) -> SequenceClassifierOutput:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return SequenceClassifierOutput(logits=self.score(self.features(input_ids, mask, **more)))

    @torch.no_grad()
    def features(self, input_ids: Tensor, mask: Tensor, **more: Any) -> Tensor:
        pooled = torch.cat([layer.sum(1) for layer in self._shares(input_ids, mask, **more)], dim=1)
        return torch.cat([(pooled - self.mean) / self.spread, _log_length(mask)], dim=1)

    def states(self, input_ids: Tensor, mask: Tensor, **more: Any) -> Tensor:
        """What each position adds to the features of the states, (N, T, D)."""
        return torch.cat(self._shares(input_ids, mask, **more), dim=2) / self.spread

    def _shares(self, input_ids: Tensor, mask: Tensor, **more: Any) -> list[Tensor]:
        """Each layer's states, weighed so that they add up to their mean over the text."""
        self.encoder.eval()
        known = {"input_ids": input_ids, "attention_mask": mask}
        if "token_type_ids" in more:
            known["token_type_ids"] = more["token_type_ids"]
        states = self.encoder(**known, output_hidden_states=True).hidden_states[1:]
        weights = mask[..., None].float() / mask.sum(1).clamp(min=1)[:, None, None]
        return [state * weights for state in states]

    def _init_weights(self, module: nn.Module) -> None:
        if module is getattr(self, "score", None):
            module.weight.data.zero_()
            module.bias.data.zero_()


def _log_length(inside: Tensor) -> Tensor:
    """The logarithm of the number of tokens, around that of 50; (N, 1)."""
    return torch.log1p(inside.sum(1, keepdim=True).float()) - 4


CLASSES = {
    "linear": (LinearConfig, LinearPreference),
    "cnn": (CnnConfig, CnnPreference),
    "rnn": (RnnConfig, RnnPreference),
    "probe": (ProbeConfig, ProbePreference),
}


def register() -> None:
    """Make the classes known to `from_pretrained`; to call it twice does no harm."""
    for config, model in CLASSES.values():
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModelForSequenceClassification.register(config, model, exist_ok=True)
