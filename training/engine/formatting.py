"""How prompts and responses become a model's input: one convention for pretraining, sampling and reward."""

from typing import Any

SEPARATOR = "\n"


def policy_prompt(tokenizer: Any, prompt: str) -> str:
    """The text after which a policy writes its response; an instruct model gets its chat template."""
    if getattr(tokenizer, "chat_template", None):
        turns = [{"role": "user", "content": prompt}]
        return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return prompt + SEPARATOR if prompt else ""


def policy_prompt_ids(tokenizer: Any, prompt: str, limit: int) -> list[int]:
    """Token ids of policy_prompt, at most `limit`: the end is kept, since the response follows it."""
    templated = bool(getattr(tokenizer, "chat_template", None))
    ids = tokenizer(policy_prompt(tokenizer, prompt), add_special_tokens=not templated)["input_ids"]
    if not templated and ids and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]  # some tokenizers end every text, but here the text goes on
    return (ids or [_start_id(tokenizer)])[-limit:]


def _start_id(tokenizer: Any) -> int:
    return tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id


def reward_inputs(tokenizer: Any, prompt: str, response: str, *, causal: bool, max_length: int) -> dict[str, list[int]]:
    """Model inputs of one (prompt, response) for a preference model, at most `max_length` tokens.

    Encoders get the text pair of their pretraining, its longer half cut first. Causal models get prompt,
    separator, response and the end token, at which the reward is read; what does not fit is cut from the
    prompt's start, so that the response is kept as long as it can be. No text is ever dropped. Where the end
    token is also the padding, transformers reads the reward one token earlier, so it is left out.
    """
    if not causal:
        return dict(tokenizer(prompt, response, truncation="longest_first", max_length=max_length))
    end = [] if tokenizer.eos_token_id == tokenizer.pad_token_id else [tokenizer.eos_token_id]
    tail = tokenizer(response, add_special_tokens=False)["input_ids"][: max_length - len(end)] + end
    room = max_length - len(tail)
    head = policy_prompt_ids(tokenizer, prompt, room) if room else []
    return {"input_ids": head + tail, "attention_mask": [1] * len(head + tail)}
