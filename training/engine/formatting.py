"""How prompts and responses become a model's input: one convention for pretraining, sampling and reward.

What people wrote stays text: where it names a special token, the name is tokenized letter by letter. Special tokens
come from the chat template and the tokenizer alone. A prompt that is too long loses its beginning, but never what the
template or the tokenizer puts in front of it, such as a system message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SEPARATOR = "\n"
PLACEHOLDER = "\ue000prompt\ue000"  # in the place of a prompt, to find where a template puts it


@dataclass(frozen=True)
class PromptIds:
    """A tokenized prompt in three parts; the first and the last are never cut."""

    head: Sequence[int]
    body: Sequence[int]
    tail: Sequence[int]

    @property
    def whole(self) -> list[int]:
        return [*self.head, *self.body, *self.tail]

    @property
    def fixed(self) -> int:
        """How many tokens are always kept."""
        return len(self.head) + len(self.tail)

    def within(self, limit: int) -> list[int]:
        """At most `limit` tokens: the end of the body is kept, since the response follows it. Raises ValueError where
        what is never cut leaves no room."""
        room = limit - self.fixed
        if room >= len(self.body):
            return self.whole
        if room < 0:
            raise ValueError(f"{limit} tokens hold no prompt: the chat template alone takes {self.fixed}")
        return [*self.head, *self.body[len(self.body) - room :], *self.tail]


def truncation(cut: int, total: int, limit: int, things: str) -> str:
    """What a log and a model card say of texts that were too long; "" where none was."""
    return f"truncated {cut:,} of {total:,} {things} to {limit:,} tokens" if cut else ""


def text_ids(tokenizer: Any, texts: str | Sequence[str], **options: Any) -> Any:
    """The tokenizer's output for texts that people or models wrote, without special tokens."""
    return tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False, **options)


def policy_prompt(tokenizer: Any, prompt: str) -> str:
    """The text after which a policy writes its response; an instruct model gets its chat template."""
    return "".join(_parts(tokenizer, prompt))


def prompt_ids(tokenizer: Any, prompts: Sequence[str]) -> list[PromptIds]:
    """Token ids of policy_prompt for each prompt."""
    if not getattr(tokenizer, "chat_template", None):
        return _plain_ids(tokenizer, prompts)
    return [_templated_ids(tokenizer, *_parts(tokenizer, prompt)) for prompt in prompts]


def policy_prompt_ids(tokenizer: Any, prompt: str, limit: int) -> list[int]:
    """Token ids of policy_prompt, at most `limit`."""
    return prompt_ids(tokenizer, [prompt])[0].within(limit)


def start_ids(tokenizer: Any) -> list[int]:
    """What an empty prompt starts with: something must be there for a model to go on from."""
    return leading_ids(tokenizer) or [_first(tokenizer.bos_token_id, tokenizer.eos_token_id)]


def leading_ids(tokenizer: Any) -> list[int]:
    """The special tokens that the tokenizer itself puts before a text, such as BOS."""
    with_special, plain = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    places = range(len(with_special) - len(plain) + 1)
    return list(with_special[: next(n for n in places if with_special[n : n + len(plain)] == plain)])


def _plain_ids(tokenizer: Any, prompts: Sequence[str]) -> list[PromptIds]:
    leading = leading_ids(tokenizer)
    rows = text_ids(tokenizer, [policy_prompt(tokenizer, prompt) for prompt in prompts])["input_ids"] if prompts else []
    return [PromptIds(leading, row, []) if row else PromptIds(start_ids(tokenizer), [], []) for row in rows]


def _templated_ids(tokenizer: Any, head: str, body: str, tail: str) -> PromptIds:
    """The template's own text is tokenized with its special tokens, and together with the prompt wherever that names no
    special token: then the tokens are those that the model was trained on, also at the joints."""
    first, last = (tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"] for part in (head, tail))
    if not names_special(tokenizer, body):
        whole = tokenizer(head + body + tail, add_special_tokens=False, verbose=False)["input_ids"]
        end = len(whole) - len(last)
        if len(first) <= end and whole[: len(first)] == first and whole[end:] == last:
            return PromptIds(first, whole[len(first) : end], last)
    return PromptIds(first, text_ids(tokenizer, body)["input_ids"] if body else [], last)


def names_special(tokenizer: Any, text: str) -> bool:
    """Whether a text has the name of one of the tokenizer's special tokens in it."""
    return any(str(token) in text for token in tokenizer.added_tokens_decoder.values() if token.special)


def document_ids(tokenizer: Any, prompt: str, text: str, *, spans: bool = False) -> tuple[list[int], list[int]]:
    """Token ids of a prompt in its chat template with the text behind it, tokenized part by part, and, if `spans`,
    where in the whole text each token ends."""
    head, body, tail = _parts(tokenizer, prompt)
    ids: list[int] = []
    ends: list[int] = []
    start = 0
    for part, own in ((head, True), (body, False), (tail, True), (text, False)):
        options = {"add_special_tokens": False, "split_special_tokens": not own, "verbose": False}
        encoded = tokenizer(part, return_offsets_mapping=spans, **options)
        ids += encoded["input_ids"]
        ends += [start + end for _, end in encoded["offset_mapping"]] if spans else []
        start += len(part)
    return ids, ends


def _parts(tokenizer: Any, prompt: str) -> tuple[str, str, str]:
    """What stands before a prompt, the prompt as the template renders it, and what stands behind it."""
    if not getattr(tokenizer, "chat_template", None):
        return "", prompt, SEPARATOR if prompt else ""
    whole, (head, _, tail) = _rendered(tokenizer, prompt), _rendered(tokenizer, PLACEHOLDER).partition(PLACEHOLDER)
    if whole.startswith(head) and whole.endswith(tail) and len(whole) >= len(head) + len(tail):
        return head, whole[len(head) : len(whole) - len(tail)], tail  # it may have been stripped
    return head, prompt, tail


def _rendered(tokenizer: Any, prompt: str) -> str:
    turns = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def _first(*ids: int | None) -> int:
    return next(token for token in ids if token is not None)
