"""How prompts and responses become a model's input: one convention for pretraining, sampling and reward.

What people wrote stays text: where it names a special token, the name is tokenized letter by letter. Special tokens
come from the chat template and the tokenizer alone. A prompt that is too long loses its beginning, but never what the
template or the tokenizer puts in front of it, such as a system message.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.records import SEPARATOR, Conversation

PLACEHOLDER = "\ue000{}\ue000"  # in the place of a message's content, to find where a template puts it
Message = Mapping[str, str]
Piece = tuple[str, bool]  # a part of a rendered prompt, and whether the template wrote it rather than a person


@dataclass(frozen=True)
class PromptIds:
    """A tokenized prompt in three parts; the first and the last are never cut. shorter: the same without the earliest
    exchange that a conversation can do without."""

    head: Sequence[int]
    body: Sequence[int]
    tail: Sequence[int]
    shorter: Callable[[], "PromptIds"] | None = None

    @property
    def whole(self) -> list[int]:
        return [*self.head, *self.body, *self.tail]

    @property
    def fixed(self) -> int:
        """How many tokens are always kept."""
        return self.shorter().fixed if self.shorter else len(self.head) + len(self.tail)

    def within(self, limit: int) -> list[int]:
        """At most `limit` tokens: of a conversation whole exchanges go first, the earliest before the others; then the
        end of the body is kept, since the response follows it. Raises ValueError where what is never cut leaves no
        room."""
        room = limit - len(self.head) - len(self.tail)
        if room >= len(self.body):
            return self.whole
        if self.shorter:
            return self.shorter().within(limit)
        if room < 0:
            raise ValueError(f"{limit} tokens hold no prompt: the chat template alone takes {self.fixed}")
        return [*self.head, *self.body[len(self.body) - room :], *self.tail]


def truncation(cut: int, total: int, limit: int, things: str) -> str:
    """What a log and a model card say of texts that were too long; "" where none was."""
    return f"truncated {cut:,} of {total:,} {things} to {limit:,} tokens" if cut else ""


def text_ids(tokenizer: Any, texts: str | Sequence[str], **options: Any) -> Any:
    """The tokenizer's output for texts that people or models wrote, without special tokens."""
    return tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False, **options)


def messages_of(prompt: str) -> Sequence[Message]:
    """The messages of a prompt: those of a Conversation, or the text as a user's."""
    return prompt.messages if isinstance(prompt, Conversation) else [{"role": "user", "content": prompt}]


def policy_prompt(tokenizer: Any, prompt: str) -> str:
    """The text after which a policy writes its response; an instruct model gets its chat template."""
    return "".join(text for text, _ in _pieces(tokenizer, prompt))


def prompt_ids(tokenizer: Any, prompts: Sequence[str]) -> list[PromptIds]:
    """Token ids of policy_prompt for each prompt."""
    if not getattr(tokenizer, "chat_template", None):
        return _plain_ids(tokenizer, prompts)
    return [_templated_ids(tokenizer, messages_of(prompt)) for prompt in prompts]


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


def _templated_ids(tokenizer: Any, messages: Sequence[Message]) -> PromptIds:
    *before, (body, _), (tail, _) = _rendered_pieces(tokenizer, messages)
    first, last = _piece_ids(tokenizer, before), _piece_ids(tokenizer, [(tail, True)])
    whole = _piece_ids(tokenizer, [*before, (body, False), (tail, True)])
    end = len(whole) - len(last)
    joined = len(first) <= end and whole[: len(first)] == first and whole[end:] == last
    middle = whole[len(first) : end] if joined else _piece_ids(tokenizer, [(body, False)])
    fewer = _without_first_exchange(messages)
    return PromptIds(first, middle, last, partial(_templated_ids, tokenizer, fewer) if fewer else None)


def _without_first_exchange(messages: Sequence[Message]) -> list[Message]:
    """The conversation from its second turn of the user on, the system message kept; empty where there is no such."""
    start = 1 if messages[0]["role"] == "system" else 0
    users = [n for n, message in enumerate(messages) if message["role"] == "user" and n > start]
    return [*messages[:start], *messages[users[0] :]] if users else []


def _piece_ids(tokenizer: Any, pieces: Sequence[Piece]) -> list[int]:
    """Token ids of rendered pieces: the template's with its special tokens, and together with what people wrote unless
    that names a special token; then the tokens are those that the model was trained on, also at the joints."""
    if any(names_special(tokenizer, text) for text, own in pieces if not own):
        return [token for text, own in pieces for token in _ids(tokenizer, text, special=own)]
    return _ids(tokenizer, "".join(text for text, _ in pieces), special=True)


def _ids(tokenizer: Any, text: str, *, special: bool) -> list[int]:
    options = {"add_special_tokens": False, "split_special_tokens": not special, "verbose": False}
    return list(tokenizer(text, **options)["input_ids"]) if text else []


def names_special(tokenizer: Any, text: str) -> bool:
    """Whether a text has the name of one of the tokenizer's special tokens in it."""
    return any(str(token) in text for token in tokenizer.added_tokens_decoder.values() if token.special)


def document_ids(tokenizer: Any, prompt: str, text: str, *, spans: bool = False) -> tuple[list[int], list[int]]:
    """Token ids of a prompt in its chat template with the text behind it, tokenized part by part, and, if `spans`,
    where in the whole text each token ends."""
    ids: list[int] = []
    ends: list[int] = []
    start = 0
    for part, own in [*_pieces(tokenizer, prompt), (text, False)]:
        options = {"add_special_tokens": False, "split_special_tokens": not own, "verbose": False}
        encoded = tokenizer(part, return_offsets_mapping=spans, **options)
        ids += encoded["input_ids"]
        ends += [start + end for _, end in encoded["offset_mapping"]] if spans else []
        start += len(part)
    return ids, ends


def _pieces(tokenizer: Any, prompt: str) -> list[Piece]:
    """The prompt as the model reads it, in the pieces that people wrote and those around them."""
    if not getattr(tokenizer, "chat_template", None):
        return [(prompt, False), (SEPARATOR if prompt else "", True)]
    return _rendered_pieces(tokenizer, messages_of(prompt))


def _rendered_pieces(tokenizer: Any, messages: Sequence[Message]) -> list[Piece]:
    """What the template makes of the messages, divided at their contents, the last piece being its own. Raises
    ValueError where it does more than to put them, as they are or stripped, into their places."""
    messages, system = _with_system_folded(tokenizer, messages)
    marks = [PLACEHOLDER.format(number) for number in range(len(messages))]
    rest = _rendered(tokenizer, [{**m, "content": mark} for m, mark in zip(messages, marks, strict=True)])
    around = []
    for mark in marks:
        before, mark_found, rest = rest.partition(mark)
        if not mark_found:
            raise ValueError("the chat template leaves a message of this conversation out")
        around.append(before)
    whole = _rendered(tokenizer, messages)
    contents = [message["content"] for message in messages]
    for texts in (contents, [text.strip() for text in contents]):
        pairs = zip(around, texts, strict=True)
        pieces = [piece for before, text in pairs for piece in ((before, True), (text, False))] + [(rest, True)]
        if "".join(text for text, _ in pieces) == whole:
            head, (first, _), *others = pieces
            return [head, (system, False), (first.removeprefix(system), False), *others] if system else pieces
    raise ValueError("the chat template changes the messages of this conversation")


def _with_system_folded(tokenizer: Any, messages: Sequence[Message]) -> tuple[Sequence[Message], str]:
    """The messages, and "". For a template that refuses system messages, as Gemma's does, the system's text stands at
    the beginning of the first turn of the user, and is returned, too, with what divides the two."""
    from jinja2.exceptions import TemplateError

    if messages[0]["role"] != "system" or len(messages) < 2:
        return messages, ""
    try:
        _rendered(tokenizer, messages)
    except TemplateError:
        system = f"{messages[0]['content'].strip()}\n\n"
        return [{**messages[1], "content": system + messages[1]["content"]}, *messages[2:]], system
    return messages, ""


def _rendered(tokenizer: Any, messages: Sequence[Message]) -> str:
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))


def _first(*ids: int | None) -> int:
    return next(token for token in ids if token is not None)
