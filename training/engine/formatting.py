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
    ids = tokenizer(policy_prompt(tokenizer, prompt), add_special_tokens=not templated, verbose=False)["input_ids"]
    return start_ids(tokenizer, ids)[-limit:]


def start_ids(tokenizer: Any, ids: list[int]) -> list[int]:
    """A tokenised prompt as something that goes on: some tokenizers end every text, and an empty one needs a start."""
    if ids and ids[-1] == tokenizer.eos_token_id and not getattr(tokenizer, "chat_template", None):
        ids = ids[:-1]
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return ids or [first]
