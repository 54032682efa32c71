"""A policy and sampling from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from training.engine.data.formatting import prompt_ids, text_ids
from training.engine.generation.decoding import Sample, SamplingParams, decode, prompt_seeds, uniforms
from training.engine.runtime.onednn import with_onednn
from training.engine.runtime.progress import Reporter, SilentReporter, advance

REPLACEMENT = "\ufffd"  # a decoder's output for an incomplete character


@dataclass
class Policy:
    """A causal model or an encoder–decoder with its tokenizer. truncated: the prompts truncated so far."""

    model: Any
    tokenizer: Any
    truncated: set[str] = field(default_factory=set)

    @property
    def end_ids(self) -> set[int]:
        """The tokens that end a response: the tokenizer's, and those of the model's generation settings."""
        configured = self.model.generation_config.eos_token_id
        return {self.tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])} - {None}

    @property
    def encoder_decoder(self) -> bool:
        return bool(self.model.config.is_encoder_decoder)

    @property
    def latent(self) -> bool:
        """Whether a latent is sampled for each response before its tokens (training.engine.models.latent)."""
        return hasattr(self.model, "latents")

    @property
    def context(self) -> int:
        return int(getattr(self.model.config, "max_position_embeddings", None) or 1024)

    def room(self, max_completion_length: int) -> int:
        """Return how many tokens of a prompt fit. Raises ValueError when none does."""
        room = self.context if self.encoder_decoder else self.context - max_completion_length - self.latent
        if room < 1:
            raise ValueError(
                f"max_completion_length {max_completion_length} leaves no room in a context of {self.context} tokens"
            )
        return room

    def prompt_ids(self, prompt: str, max_completion_length: int) -> list[int]:
        """Return token ids of a prompt that leave room for this many new tokens."""
        return self.limited_prompt_ids(prompt, self.room(max_completion_length))

    def limited_prompt_ids(self, prompt: str, limit: int) -> list[int]:
        """Return token ids of a prompt, at most `limit`; a prompt that is too long loses its beginning."""
        if self.encoder_decoder:
            ids = self.tokenizer(prompt, split_special_tokens=True, verbose=False)["input_ids"]
            truncated_ids = ids[-limit:] or [self.tokenizer.eos_token_id]
        else:
            (ids_of_parts,) = prompt_ids(self.tokenizer, [prompt])
            ids, truncated_ids = ids_of_parts.whole, ids_of_parts.within(limit)
        if len(truncated_ids) < len(ids):
            self.truncated.add(prompt)
        return truncated_ids

    def response_ids(self, text: str, limit: int) -> list[int]:
        """Return token ids of a given response with the end token, at most `limit` (1 or more). A response that is too
        long is truncated and has no end token."""
        ids = [*text_ids(self.tokenizer, text)["input_ids"], self.tokenizer.eos_token_id]
        return ids[:limit]

    def text(self, tokens: Sequence[int]) -> str:
        """Return sampled tokens as text, without special tokens and without an incomplete last character."""
        text = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        return text if self.ended(tokens) else text.rstrip(REPLACEMENT).rstrip()

    def ended(self, tokens: Sequence[int]) -> bool:
        return bool(tokens) and tokens[-1] in self.end_ids


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled response. token_ids ends with the end token when the policy finished the response."""

    text: str
    token_ids: tuple[int, ...]
    finished: bool


def load_policy(path: str, *, dtype: torch.dtype = torch.float32) -> Policy:
    """Load a causal or encoder–decoder language model (folder or hub name) for sampling and tuning, without dropout."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    from training.engine.models import latent

    latent.register()
    tokenizer = AutoTokenizer.from_pretrained(path)
    if tokenizer.eos_token_id is None:
        raise ValueError(f"{path}: the tokenizer has no end token, so a response could never end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    kind = AutoModelForSeq2SeqLM if AutoConfig.from_pretrained(path).is_encoder_decoder else AutoModelForCausalLM
    return Policy(with_onednn(kind.from_pretrained(path, dtype=dtype).eval()), tokenizer)


def generate(
    policy: Policy,
    prompts: Sequence[str],
    *,
    per_prompt: int = 1,
    max_completion_length: int = 64,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    batch_size: int = 64,
    reporter: Reporter | None = None,
) -> list[list[Completion]]:
    """Sample `per_prompt` responses for each prompt, in the prompts' order; temperature 0 is greedy.

    A sample depends on the seed, its prompt and the prompt's position only, not on the batch. An empty response is
    returned as such.
    """
    reporter = reporter or SilentReporter()
    params = SamplingParams(max_completion_length, temperature, top_k, top_p, banned_tokens(policy))
    inputs = [policy.prompt_ids(prompt, max_completion_length) for prompt in prompts]
    # Prompts of similar length share a batch, which saves padding; `order` restores the prompts' order.
    order = sorted(range(len(prompts)), key=lambda i: len(inputs[i]))
    per_batch = max(1, batch_size // per_prompt)
    results: list[list[Completion]] = [[] for _ in prompts]
    seeds = prompt_seeds(f"{seed}", len(prompts))
    for start in range(0, len(order), per_batch):
        chosen = order[start : start + per_batch]
        _, rows = sample(policy, [inputs[i] for i in chosen], per_prompt, params, seeds=[seeds[i] for i in chosen])
        for place, i in enumerate(chosen):
            samples = rows[place * per_prompt : (place + 1) * per_prompt]
            results[i] = [completion(policy, row.tokens) for row in samples]
        advance(reporter, min(start + per_batch, len(order)), len(order))
    return results


def sample(
    policy: Policy, inputs: Sequence[Sequence[int]], per_prompt: int, params: SamplingParams, *, seeds: Sequence[int]
) -> tuple[Sequence[Sequence[int]], list[Sample]]:
    """Sample `per_prompt` responses to each prompt, given as token ids. seeds: one per prompt.

    Returns the heads that the samples continue (the prompts, or with a latent one head per response) and the samples,
    equally many for each head.
    """
    heads = policy.model.draw(inputs, per_prompt, seeds) if policy.latent else inputs
    samples = decode(
        policy.model,
        heads,
        per_prompt=1 if policy.latent else per_prompt,
        params=params,
        end_ids=policy.end_ids,
        pad_id=policy.tokenizer.pad_token_id,
        draws=uniforms(seeds, per_prompt, params.max_completion_length),
    )
    return heads, samples


def banned_tokens(policy: Policy) -> tuple[int, ...]:
    """Return the tokens that the policy's generation settings forbid, such as a control token for bad text."""
    words = policy.model.generation_config.bad_words_ids or []
    return tuple(word[0] for word in words if len(word) == 1)


def completion(policy: Policy, tokens: Sequence[int]) -> Completion:
    return Completion(policy.text(tokens), tuple(tokens), policy.ended(tokens))
