"""The policy that is tuned, beside the reference that it is measured against."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.engine.generation.decoding import Drawn, Sampling
from training.engine.generation.rows import Group
from training.engine.generation.sampling import Policy, banned_tokens, load_policy, sample
from training.engine.generation.vllm import VllmSampler
from training.engine.models.latent import gaussian_kl, log_density
from training.engine.rl.config import PolicyConfig
from training.engine.rl.log_probs import Passes
from training.engine.runtime import distributed
from training.engine.runtime.numerics import check_finite, check_weights


class Actor:
    """With LoRA (Hu et al. 2021) the reference is the same model with its adapter off; else it is a copy of the very
    weights in memory: a reference loaded again from a path could be another model."""

    def __init__(self, policy: Policy, config: PolicyConfig) -> None:
        self.policy, self.config = policy, config
        if policy.latent and config.lora_rank:
            raise ValueError("a policy with a latent is trained as a whole: lora_rank must be 0")
        self.adapted = _with_adapter(policy.model, config) if config.lora_rank else None
        self.reference = None if self.adapted else copy.deepcopy(policy.model).requires_grad_(False)
        self.passes = Passes(
            policy.model,
            pad_id=policy.tokenizer.pad_token_id,
            temperature=config.temperature or 1.0,  # greedy decoding is scored as it is without a temperature
            precision=config.precision,
        )
        self.server = VllmSampler(config.sampler_address) if config.sampler == "vllm" else None
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
        """The policy's parameters that training changes."""
        return [p for p in self.policy.model.parameters() if p.requires_grad]

    def prompt_ids(self, prompt: str) -> list[int]:
        return self.policy.prompt_ids(prompt, self.config.max_new_tokens)

    def response_ids(self, text: str) -> list[int]:
        """A response that was sampled as tokens again, at most max_new_tokens; see Policy.response_ids."""
        return self.policy.response_ids(text, self.config.max_new_tokens)

    def sample(
        self, prompts: Sequence[Sequence[int]], per_prompt: int, *, seeds: Sequence[int], start: bool = False
    ) -> tuple[Sequence[Sequence[int]], list[Drawn]]:
        """Samples of the policy as it is now, or as it was at the start. seeds: one for each prompt.

        Returns what they go on from, equally many from each, and the samples: prompts, or prompts with a latent.
        """
        config = self.config
        banned = banned_tokens(self.policy)
        how = Sampling(config.max_new_tokens, config.temperature, config.top_k, config.top_p, banned)
        if self.server is not None:
            return prompts, self._served(prompts, per_prompt, how, seeds, start)
        with self.as_it_was() if start else nullcontext(self.policy) as policy:
            return sample(policy, prompts, per_prompt, how, seeds=seeds)

    def _served(
        self, prompts: Sequence[Sequence[int]], per_prompt: int, how: Sampling, seeds: Sequence[int], start: bool
    ) -> list[Drawn]:
        assert self.server is not None
        rows = self.server.sample(prompts, per_prompt=per_prompt, how=how, seeds=seeds, start=start)
        groups = [Group(ids, rows[n * per_prompt : (n + 1) * per_prompt]) for n, ids in enumerate(prompts)]
        width = max(map(len, rows))
        table = self.reference_log_probs(groups, width) if start else self.log_probs(groups, width)
        return [Drawn(row, tuple(values[: len(row)])) for row, values in zip(rows, table.tolist(), strict=True)]

    def log_probs(self, groups: Sequence[Group], width: int) -> Tensor:
        """Log-probabilities (N, T) under the policy as it is now."""
        return self.passes.table(groups, width)

    def reference_log_probs(self, groups: Sequence[Group], width: int, passes: Passes | None = None) -> Tensor:
        """Log-probabilities (N, T) under the policy as it was, by default at the sampling temperature."""
        passes = passes or self.passes
        if self.adapted is not None:
            with self.adapted.disable_adapter():
                return passes.table(groups, width)
        return passes.table(groups, width, self.reference)

    def latent_terms(self, groups: Sequence[Group]) -> tuple[Tensor, Tensor]:
        """Log-density under the policy's prior of the latent that each group's head ends with, and the KL of that prior
        to the reference's; (G,) each, with gradient where it is enabled."""
        model = self.policy.model
        prompts = [group.prompt[:-1] for group in groups]
        z = model.latents.table[torch.tensor([group.prompt[-1] for group in groups]) - model.config.vocab_size]
        wanted = model.wants(prompts)
        with torch.no_grad():
            before = self.reference.wants(prompts)  # type: ignore[union-attr]
        return log_density(z.detach(), *wanted), gaussian_kl(*wanted, *before).sum(dim=1)

    @torch.no_grad()
    def token_values(self, groups: Sequence[Group], width: int) -> Tensor:
        """The value head's estimates (N, T) of what is still to come from each token on."""
        assert self.values is not None
        values = torch.zeros(sum(len(group.responses) for group in groups) * width)
        for rows in self.passes.rows_of(groups, width):
            values[rows.place] = self.values(self.passes.over(rows).hidden).squeeze(1)
        return values.view(-1, width)

    @torch.no_grad()
    def start_critic(self, mean: Tensor) -> Tensor:
        """Let the value head say the mean return (a number) of every token; returns it."""
        assert self.values is not None
        self.values.bias.fill_(mean)
        return mean

    @contextmanager
    def as_it_was(self) -> Iterator[Policy]:
        """The reference as a policy to sample from."""
        if self.adapted is not None:
            with self.adapted.disable_adapter():
                yield self.policy
        else:
            yield Policy(self.reference, self.policy.tokenizer)

    def update(self) -> float:
        """One optimiser step from the gradients gathered, which are added up over processes; returns the policy's norm
        before clipping, which does not count the critic's. Raises NonFiniteError, before anything has changed, where a
        norm is not finite."""
        groups = [group["params"] for group in self.optimizer.param_groups]
        for parameters in groups:
            distributed.add_gradients(parameters)
        norm, *of_critic = (float(nn.utils.clip_grad_norm_(parameters, 1.0)) for parameters in groups)
        if all(map(math.isfinite, (norm, *of_critic))):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        check_finite("the gradient", [norm])
        check_finite("the critic's gradient", of_critic)
        self.publish()
        return norm

    def publish(self) -> None:
        """Where a server samples, give it the weights as they are."""
        if self.server is not None:
            self.server.update(self.adapted)

    def weights(self) -> dict[str, Tensor]:
        """A copy of what training changes, by name; the value head's names start with "values."."""
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
        """Model and tokenizer as a folder that from_pretrained opens; an adapter is merged into the weights."""
        check_weights(self.policy.model.named_parameters())
        model = self.policy.model if self.adapted is None else copy.deepcopy(self.adapted).merge_and_unload()
        model.save_pretrained(output)
        self.policy.tokenizer.save_pretrained(output)


def _with_adapter(model: Any, config: PolicyConfig) -> Any:
    """The model with a LoRA adapter on its linear layers, which changes nothing yet; only it is trained."""
    from peft import LoraConfig, TaskType, get_peft_model

    task = TaskType.SEQ_2_SEQ_LM if model.config.is_encoder_decoder else TaskType.CAUSAL_LM
    settings = LoraConfig(
        task_type=task, r=config.lora_rank, lora_alpha=2 * config.lora_rank, lora_dropout=0.0,
        target_modules="all-linear",
    )  # fmt: skip
    adapted = get_peft_model(model, settings)
    return adapted.eval()


def _width(model: Any) -> int:
    return int(getattr(model.config, "hidden_size", None) or model.config.d_model)
