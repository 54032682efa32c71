"""Conversations in the files of other tools: messages with roles, in the spellings that are in use.

OpenAI and TRL write role and content, ShareGPT writes from and value, OpenAssistant writes role and text; content may
be a list of parts. A conversation becomes messages of the roles system, user and assistant with a text each; what has
no text form here (calls of tools, pictures) is refused by name.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, brief

Message = dict[str, str]

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "chatgpt": "assistant",
}
NAMES = {"user": "User", "assistant": "Assistant", "system": "System"}
HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):")


def render(messages: Sequence[Message]) -> str:
    """A conversation as one text; a single message is its text alone."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{NAMES[message['role']]}: {message['content']}" for message in messages)


def messages_of(row: Row, field: str) -> list[Message]:
    """The messages in a field: a list, one message, or either as JSON. Raises PalateError that names what is wrong."""
    value = row.values.get(field)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            row.fail(field, _("expected messages with role and content"))
    entries = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list) or not entries:
        row.fail(field, _("expected messages with role and content"))
    return [_message(row, field, number, entry) for number, entry in enumerate(entries, start=1)]


def _message(row: Row, field: str, number: int, entry: Any) -> Message:
    judgements = role = None
    if isinstance(entry, Mapping):
        role = entry.get("role") or entry.get("from")
        judgements = next((entry[name] for name in ("content", "value", "text") if name in entry), None)
    if not isinstance(role, str):
        row.fail(field, _("message %(number)d has no role; expected messages with role and content"), number=number)
    if entry.get("tool_calls") or entry.get("function_call") or role.lower() in ("tool", "function", "observation"):
        row.fail(field, _("message %(number)d calls a tool or is its result, which Palate cannot store"), number=number)
    if role.lower() not in ROLES:
        known = ", ".join(sorted(set(ROLES.values())))
        row.fail(field, _("message %(number)d has the role %(role)r; expected one of %(known)s"),
                 number=number, role=role, known=known)  # fmt: skip
    content = _content(row, field, number, judgements)
    text = Row(row.file, row.line, {field: content}).text(field, blank=True)
    return {"role": ROLES[role.lower()], "content": text}


def _content(row: Row, field: str, number: int, content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, str | Mapping) for part in content):
        return "\n\n".join(_part(row, field, number, part) for part in content)
    message = _("message %(number)d has the content %(value)s; expected a text or text parts")
    return row.fail(field, message, number=number, value=brief(content))


def _part(row: Row, field: str, number: int, part: Any) -> str:
    if isinstance(part, str):
        return part
    kind, text = part.get("type", "text"), part.get("text")
    if kind != "text" or not isinstance(text, str):
        message = _("message %(number)d has a part of the type %(kind)r; only text parts can be stored")
        row.fail(field, message, number=number, kind=kind)
    if held := next((name for name in ("image", "image_url", "audio") if part.get(name)), None):
        message = _("message %(number)d has a part of the type %(kind)r; only text parts can be stored")
        row.fail(field, message, number=number, kind=held)
    return text


def split_answer(row: Row, field: str, messages: Sequence[Message]) -> tuple[list[Message], str]:
    """A conversation as what was asked and the assistant's last answer. Raises PalateError where it ends otherwise."""
    if messages[-1]["role"] != "assistant":
        message = _("ends with a turn of the %(role)s; expected the assistant's answer last")
        row.fail(field, message, role=messages[-1]["role"])
    return list(messages[:-1]), messages[-1]["content"]


def asked(row: Row, field: str, messages: Sequence[Message]) -> list[Message]:
    """The messages that ask for an answer. Raises PalateError where the last one is not the user's."""
    if not messages or messages[-1]["role"] != "user":
        row.fail(field, _("does not end with a turn of the user, which the responses would answer"))
    return list(messages)


def turns_of(text: str) -> list[Message]:
    """The turns of a dialogue as HH-RLHF writes it; nothing for any other text."""
    if not text.startswith(HUMAN):
        return []
    pieces = _TURN.split(text)[1:]
    names = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": names[who], "content": judgement.strip()}
        for who, judgement in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def is_conversation(value: Any) -> bool:
    """Whether a value is a list of messages, whatever the spelling."""
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, list) or not entries:
        return False
    return all(isinstance(m, Mapping) and ("role" in m or "from" in m) for m in entries)
