"""A policy and its samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.engine.formatting import policy_prompt_ids
from training.engine.progress import Reporter, SilentReporter, advance


@dataclass
class Policy:
    model: Any
    tokenizer: Any

    @property
    def end_ids(self) -> set[int]:
        """The tokens that end a response: the tokenizer's, and those that the model's own settings name."""
        named = self.model.generation_config.eos_token_id
        return {self.tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])} - {None}

    @property
    def context(self) -> int:
        return int(getattr(self.model.config, "max_position_embeddings", 1024))


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled response. token_ids ends with the end token when the policy finished by itself."""

    text: str
    token_ids: tuple[int, ...]
    finished: bool


def load_policy(path: str, *, dtype: torch.dtype = torch.float32) -> Policy:
    """Open a causal language model (folder or hub name) for sampling and tuning, dropout off."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    if tokenizer.eos_token_id is None:
        raise ValueError(f"{path}: the tokenizer has no end token, so a response could never end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Policy(AutoModelForCausalLM.from_pretrained(path, dtype=dtype).eval(), tokenizer)


def generate(
    policy: Policy,
    prompts: Sequence[str],
    *,
    per_prompt: int = 1,
    max_new_tokens: int = 64,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    batch_size: int = 64,
    reporter: Reporter | None = None,
) -> list[list[Completion]]:
    """`per_prompt` samples for each prompt, in the prompts' order; temperature 0 is greedy.

    The same seed, prompts and batch size give the same samples. A policy may write an empty text; it is
    returned as such.
    """
    reporter = reporter or SilentReporter()
    room = policy.context - max_new_tokens
    if room < 1:
        raise ValueError(f"max_new_tokens {max_new_tokens} leaves no room in a context of {policy.context} tokens")
    inputs = [policy_prompt_ids(policy.tokenizer, prompt, room) for prompt in prompts]
    # Prompts of like length share a batch: less padding, and `order` puts the samples back in place.
    order = sorted(range(len(prompts)), key=lambda i: len(inputs[i]))
    per_batch = max(1, batch_size // per_prompt)
    results: list[list[Completion]] = [[] for _ in prompts]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for start in range(0, len(order), per_batch):
            chosen = order[start : start + per_batch]
            rows = sample(
                policy,
                [inputs[i] for i in chosen],
                per_prompt=per_prompt,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
            )
            for place, i in enumerate(chosen):
                results[i] = [completion(policy, row) for row in rows[place * per_prompt : (place + 1) * per_prompt]]
            advance(reporter, min(start + per_batch, len(order)), len(order))
    return results


def left_padded(inputs: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and mask, both (B, P), padded on the left so that every prompt ends where the response starts."""
    width = max(map(len, inputs))
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in inputs])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in inputs])
    return ids, mask


@torch.no_grad()
def sample(
    policy: Policy,
    inputs: Sequence[Sequence[int]],
    *,
    per_prompt: int,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
) -> Tensor:
    """New tokens (B*K, T) for prompts as token ids, K = per_prompt rows a prompt, padded after the end."""
    ids, mask = left_padded(inputs, policy.tokenizer.pad_token_id)
    ids, mask = ids.repeat_interleave(per_prompt, dim=0), mask.repeat_interleave(per_prompt, dim=0)
    how: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        # top_k=0 and top_p as asked: a model's own generation settings must not change the distribution.
        how = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    rows = policy.model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(policy.end_ids),
        pad_token_id=policy.tokenizer.pad_token_id,
        repetition_penalty=1.0,
        **how,
    )
    return rows[:, ids.shape[1] :]


def completion(policy: Policy, row: Tensor) -> Completion:
    """Cut a row of new tokens (T,) behind its end token and turn it into text without special tokens."""
    ids = row.tolist()
    end = next((place for place, token in enumerate(ids) if token in policy.end_ids), None)
    kept = ids if end is None else ids[: end + 1]
    text = policy.tokenizer.decode(kept, skip_special_tokens=True)
    return Completion(text.strip(), tuple(kept), end is not None)
