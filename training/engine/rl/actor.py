"""The policy that is tuned, together with its reference policy."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.generation.decoding import Sample, SamplingParams
from training.engine.generation.rows import Group
from training.engine.generation.sampling import Policy, banned_tokens, load_policy, sample
from training.engine.generation.vllm import VllmSampler
from training.engine.models.latent import gaussian_kl, log_density
from training.engine.rl.config import PolicyConfig
from training.engine.rl.log_probs import LogProbs
from training.engine.runtime import distributed
from training.engine.runtime.numerics import check_finite, check_weights


class Actor:
    """A policy with its reference, optimizer and sampler.

    With LoRA (Hu et al. 2021) the reference is the same model with its adapter disabled; otherwise it is a copy of the
    weights in memory: a reference loaded again from a path could be a different model.
    """

    def __init__(self, policy: Policy, config: PolicyConfig) -> None:
        self.policy, self.config = policy, config
        if policy.latent and config.lora_r:
            raise ValueError("all weights of a policy with a latent are trained: lora_r must be 0")
        self.adapted = _with_adapter(policy.model, config) if config.lora_r else None
        self.reference = None if self.adapted else copy.deepcopy(policy.model).requires_grad_(False)
        self.logps = LogProbs(
            policy.model,
            pad_id=policy.tokenizer.pad_token_id,
            temperature=config.temperature or 1.0,  # greedy decoding is scored without a temperature
            precision=config.precision,
        )
        self.server = VllmSampler(config.vllm_server_base_url) if config.sampler == "vllm" else None
        self.values = nn.Linear(_width(policy.model), 1) if config.algorithm == "ppo" else None
        if self.values is not None:
            nn.init.zeros_(self.values.weight)
            nn.init.zeros_(self.values.bias)
        size = sum(p.numel() for p in policy.model.parameters())
        groups = [{"params": self.trained(), "lr": config.rate(size)}]
        if self.values is not None:
            groups.append({"params": list(self.values.parameters()), "lr": config.critic_learning_rate})
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.0)

    @classmethod
    def load(cls, path: str, config: PolicyConfig) -> "Actor":
        return cls(load_policy(path), config)

    def trained(self) -> list[nn.Parameter]:
        """Return the policy's parameters that training changes."""
        return [p for p in self.policy.model.parameters() if p.requires_grad]

    def prompt_ids(self, prompt: str) -> list[int]:
        return self.policy.prompt_ids(prompt, self.config.max_completion_length)

    def response_ids(self, text: str) -> list[int]:
        """Return the token ids of a response, at most max_completion_length; see Policy.response_ids."""
        return self.policy.response_ids(text, self.config.max_completion_length)

    def sample(
        self, prompts: Sequence[Sequence[int]], per_prompt: int, *, seeds: Sequence[int], from_reference: bool = False
    ) -> tuple[Sequence[Sequence[int]], list[Sample]]:
        """Sample from the current policy or from the reference. seeds: one per prompt.

        Returns the heads that the samples continue (the prompts, or the prompts with a latent) and the samples, equally
        many for each head.
        """
        config = self.config
        banned = banned_tokens(self.policy)
        params = SamplingParams(config.max_completion_length, config.temperature, config.top_k, config.top_p, banned)
        if self.server is not None:
            return prompts, self._sample_from_server(prompts, per_prompt, params, seeds, from_reference)
        with self.reference_policy() if from_reference else nullcontext(self.policy) as policy:
            return sample(policy, prompts, per_prompt, params, seeds=seeds)

    def _sample_from_server(
        self,
        prompts: Sequence[Sequence[int]],
        per_prompt: int,
        params: SamplingParams,
        seeds: Sequence[int],
        from_reference: bool,
    ) -> list[Sample]:
        assert self.server is not None
        rows = self.server.sample(
            prompts, per_prompt=per_prompt, params=params, seeds=seeds, from_reference=from_reference
        )
        groups = [Group(ids, rows[n * per_prompt : (n + 1) * per_prompt]) for n, ids in enumerate(prompts)]
        width = max(map(len, rows))
        table = self.reference_log_probs(groups, width) if from_reference else self.log_probs(groups, width)
        return [Sample(row, tuple(values[: len(row)])) for row, values in zip(rows, table.tolist(), strict=True)]

    def log_probs(self, groups: Sequence[Group], width: int) -> Tensor:
        """Return log-probabilities (N, T) under the current policy."""
        return self.logps.table(groups, width)

    def reference_log_probs(self, groups: Sequence[Group], width: int, logps: LogProbs | None = None) -> Tensor:
        """Return log-probabilities (N, T) under the reference, by default at the sampling temperature."""
        logps = logps or self.logps
        if self.adapted is not None:
            with self.adapted.disable_adapter():
                return logps.table(groups, width)
        return logps.table(groups, width, self.reference)

    def latent_terms(self, groups: Sequence[Group]) -> tuple[Tensor, Tensor]:
        """Return the log-density of each group's latent under the policy's prior, and the KL of that prior to the
        reference's; (G,) each, with gradient where it is enabled."""
        model = self.policy.model
        prompts = [group.prompt[:-1] for group in groups]
        z = model.latents.table[torch.tensor([group.prompt[-1] for group in groups]) - model.config.vocab_size]
        prior = model.prior_parameters(prompts)
        with torch.no_grad():
            reference_prior = self.reference.prior_parameters(prompts)  # type: ignore[union-attr]
        return log_density(z.detach(), *prior), gaussian_kl(*prior, *reference_prior).sum(dim=1)

    @torch.no_grad()
    def token_values(self, groups: Sequence[Group], width: int) -> Tensor:
        """Return the value head's estimates (N, T) of the return from each token on."""
        assert self.values is not None
        values = torch.zeros(sum(len(group.responses) for group in groups) * width)
        for batch in self.logps.batches(groups, width):
            values[batch.index] = self.values(self.logps.forward(batch).hidden).squeeze(1)
        return values.view(-1, width)

    @torch.no_grad()
    def initialize_critic(self, mean: Tensor) -> Tensor:
        """Set the value head's bias to the mean return (a scalar), and return it."""
        assert self.values is not None
        self.values.bias.fill_(mean)
        return mean

    @contextmanager
    def reference_policy(self) -> Iterator[Policy]:
        """Yield the reference as a policy to sample from."""
        if self.adapted is not None:
            with self.adapted.disable_adapter():
                yield self.policy
        else:
            yield Policy(self.reference, self.policy.tokenizer)

    def update(self) -> float:
        """Take one optimizer step with the gradients summed over processes; return the policy's gradient norm before
        clipping, without the critic's.

        Raises NonFiniteError, before anything has changed, where a norm is not finite.
        """
        groups = [group["params"] for group in self.optimizer.param_groups]
        for parameters in groups:
            distributed.reduce_gradients(parameters)
        norm, *critic_norms = (float(nn.utils.clip_grad_norm_(parameters, 1.0)) for parameters in groups)
        if all(map(math.isfinite, (norm, *critic_norms))):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        check_finite("the gradient", [norm])
        check_finite("the critic's gradient", critic_norms)
        self.publish()
        return norm

    def publish(self) -> None:
        """Send the current weights to the sampling server, if there is one."""
        if self.server is not None:
            self.server.update(self.adapted)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the trained parameters by name; the value head's names start with "values."."""
        named = {n: p for n, p in self.policy.model.named_parameters() if p.requires_grad}
        if self.values is not None:
            named |= {f"values.{n}": p for n, p in self.values.named_parameters()}
        return {name: parameter.detach().clone() for name, parameter in named.items()}

    @torch.no_grad()
    def set_weights(self, weights: dict[str, Tensor]) -> None:
        named = dict(self.policy.model.named_parameters())
        if self.values is not None:
            named |= {f"values.{n}": p for n, p in self.values.named_parameters()}
        for name, value in weights.items():
            named[name].copy_(value)
        self.publish()

    def close(self) -> None:
        if self.server is not None:
            self.server.close()

    def save(self, output: Path) -> None:
        """Save model and tokenizer to a folder that from_pretrained opens; an adapter is merged into the weights."""
        check_weights(self.policy.model.named_parameters())
        model = self.policy.model if self.adapted is None else copy.deepcopy(self.adapted).merge_and_unload()
        model.save_pretrained(output)
        self.policy.tokenizer.save_pretrained(output)


def _with_adapter(model: Any, config: PolicyConfig) -> Any:
    """Return the model with an untrained LoRA adapter on its linear layers; only the adapter is trained."""
    from peft import LoraConfig, TaskType, get_peft_model

    task = TaskType.SEQ_2_SEQ_LM if model.config.is_encoder_decoder else TaskType.CAUSAL_LM
    settings = LoraConfig(
        task_type=task, r=config.lora_r, lora_alpha=2 * config.lora_r, lora_dropout=0.0,
        target_modules="all-linear",
    )  # fmt: skip
    adapted = get_peft_model(model, settings)
    return adapted.eval()


def _width(model: Any) -> int:
    return int(getattr(model.config, "hidden_size", None) or model.config.d_model)
