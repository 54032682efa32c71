"""A causal language model with a latent variable: a text variational autoencoder.

p(z | x) p(y | z, x): the vector z is sampled for each response and enters the language model as one more token between
prompt x and response y, as in Li et al. 2020 (Optimus). q(z | y) comes from a second model with the same backbone,
which only pretraining and evaluation need.

A token id from `vocab_size` on refers to a row of the table of latents sampled last, so that everything that handles
token ids (decoding, tree rows, log-probabilities) handles latents too.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin, PretrainedConfig, PreTrainedModel

FIRST_LOG_VARIANCE = -2.0  # of the posterior
LOG_VARIANCE = (-8.0, 4.0)  # limits that keep posterior and prior from collapsing to a point or overflowing


class LatentConfig(PretrainedConfig):
    """base: the settings of the language model; latent_size: the size of z. The rest repeats the fields that callers
    read from any policy."""

    model_type = "palate-latent"

    latent_size: int = 16
    base: dict[str, Any] | None = None
    vocab_size: int = 0
    hidden_size: int = 0
    num_hidden_layers: int = 0
    max_position_embeddings: int = 0
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | None = None


class Latents:
    """The latents sampled last, (N, Z), shared by a model and its reference copy."""

    def __init__(self) -> None:
        self.table = torch.zeros(0, 1)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Latents":
        return self


class LatentForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = LatentConfig

    def __init__(self, config: LatentConfig) -> None:
        super().__init__(config)
        base = AutoConfig.for_model(**(config.base or {}))
        self.language_model = AutoModelForCausalLM.from_config(base)
        self.encoder = AutoModel.from_config(base)
        self.posterior = nn.Linear(config.hidden_size, 2 * config.latent_size)
        self.prior = nn.Linear(config.hidden_size, 2 * config.latent_size)
        self.project = nn.Linear(config.latent_size, config.hidden_size)
        self.latents = Latents()
        self.post_init()

    @classmethod
    def from_language_model(cls, model: Any, latent_size: int) -> "LatentForCausalLM":
        """Return the language model with a new latent: both parts start from its weights, the prior from N(0, 1)."""
        base = model.config
        if base.is_encoder_decoder or not hasattr(base, "hidden_size"):
            raise ValueError(f"a model of type {base.model_type} cannot have a latent: it must be a causal model")
        config = LatentConfig(
            latent_size=latent_size, base=base.to_dict(), vocab_size=model.get_input_embeddings().num_embeddings,
            hidden_size=base.hidden_size, num_hidden_layers=base.num_hidden_layers,
            max_position_embeddings=base.max_position_embeddings, pad_token_id=base.pad_token_id,
            bos_token_id=base.bos_token_id, eos_token_id=base.eos_token_id,
        )  # fmt: skip
        latent = cls(config)
        latent.language_model.load_state_dict(model.state_dict())
        latent.encoder.load_state_dict(model.base_model.state_dict())
        latent.generation_config = model.generation_config
        return latent

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, position_ids: Tensor | None = None, **more: Any
    ) -> Any:
        return self.language_model(**self._inputs(input_ids, attention_mask, position_ids), **more)

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def get_decoder(self) -> Any:
        """Return the body without its head; it takes the model's arguments."""
        return self._body

    def _body(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, position_ids: Tensor | None = None, **more: Any
    ) -> Any:
        return self.language_model.get_decoder()(**self._inputs(input_ids, attention_mask, position_ids), **more)

    def _inputs(self, input_ids: Tensor, attention_mask: Tensor | None, position_ids: Tensor | None) -> dict[str, Any]:
        known = {"inputs_embeds": self.embed(input_ids), "attention_mask": attention_mask}
        if position_ids is not None and "position_ids" in inspect.signature(self.language_model.forward).parameters:
            known["position_ids"] = position_ids
        return known

    def embed(self, ids: Tensor) -> Tensor:
        """Return the embeddings (R, L, D) of token rows (R, L) in which latents have ids from vocab_size on."""
        size = self.config.vocab_size
        is_latent = ids >= size
        vectors = self.get_input_embeddings()(ids.clamp(max=size - 1))
        if not is_latent.any():
            return vectors
        projected = self.project(self.latents.table[ids[is_latent] - size])
        return vectors.index_put((is_latent,), projected.to(vectors.dtype))

    # --- the latent ---------------------------------------------------------------------------------------------------

    def set_latents(self, latents: Tensor) -> list[int]:
        """Make these latents (N, Z) the current ones; return their token ids."""
        self.latents.table = latents
        return list(range(self.config.vocab_size, self.config.vocab_size + len(latents)))

    def posterior_parameters(self, ids: Tensor, mask: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (N, Z) of q(z | y) from rows (N, L); `inside` (N, L) is 1 on the response."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = inside.float() / inside.sum(dim=1, keepdim=True).clamp(min=1)
        return _gaussian(self.posterior((states * weights.unsqueeze(2)).sum(dim=1)))

    def prior_parameters(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (B, Z) of p(z | x) at the end of each prompt (token ids)."""
        width = max(map(len, prompts))
        # Padding on the right does not affect a prompt's last state, so no mask is needed.
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in prompts])
        states = self.language_model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        ends = torch.tensor([len(row) - 1 for row in prompts])
        return _gaussian(self.prior(states[torch.arange(len(ids)), ends]))

    @torch.no_grad()
    def draw(self, prompts: Sequence[Sequence[int]], per_prompt: int, seeds: Sequence[int]) -> list[list[int]]:
        """Sample a latent for each of `per_prompt` responses to each prompt; return the prompts with its token id
        appended. seeds: one per prompt."""
        # A different seed than that of the tokens.
        generators = (torch.Generator().manual_seed(~seed) for seed in seeds)
        noise = torch.cat([torch.randn(per_prompt, self.config.latent_size, generator=g) for g in generators])
        mean, log_variance = (part.repeat_interleave(per_prompt, dim=0) for part in self.prior_parameters(prompts))
        numbers = self.set_latents(mean + noise * (log_variance / 2).exp())
        return [[*prompts[n // per_prompt], number] for n, number in enumerate(numbers)]

    def _init_weights(self, module: nn.Module) -> None:
        if module is getattr(self, "prior", None):
            module.weight.data.zero_()
            module.bias.data.zero_()
        elif module is getattr(self, "posterior", None):
            # Texts differ from the first step on: with equal means and a variance of 1, z would be noise to ignore.
            size, width = self.config.latent_size, self.config.hidden_size
            module.weight.data[:size].normal_(std=width**-0.5)
            module.weight.data[size:].zero_()
            module.bias.data[:size].zero_()
            module.bias.data[size:].fill_(FIRST_LOG_VARIANCE)
        elif module is getattr(self, "project", None):
            module.weight.data.normal_(std=0.02)
            module.bias.data.zero_()


def gaussian_kl(mean: Tensor, log_variance: Tensor, mean_0: Tensor | float = 0.0, log_variance_0: Any = 0.0) -> Tensor:
    """Return the KL of N(mean, exp(log_variance)) to N(mean_0, exp(log_variance_0)), by default N(0, 1), for each
    dimension."""
    log_variance_0 = torch.as_tensor(log_variance_0)
    squares = (log_variance.exp() + (mean - mean_0) ** 2) / log_variance_0.exp()
    return 0.5 * (squares - 1 - log_variance + log_variance_0)


def log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return log N(z; mean, exp(log_variance)) summed over the last dimension."""
    squares = (z - mean) ** 2 / log_variance.exp()
    return -0.5 * (squares + log_variance + torch.log(torch.tensor(2 * torch.pi))).sum(dim=-1)


def _gaussian(outputs: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_variance = outputs.chunk(2, dim=-1)
    return mean, log_variance.clamp(*LOG_VARIANCE)


def register() -> None:
    """Register the class with `from_pretrained`; repeated calls are harmless."""
    AutoConfig.register(LatentConfig.model_type, LatentConfig, exist_ok=True)
    AutoModelForCausalLM.register(LatentConfig, LatentForCausalLM, exist_ok=True)
