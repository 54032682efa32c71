"""What a row asks, under the names in use: prompt, question, instruction with input, conversations, history."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row
from annotate.exchange.formats.conversations import Message, asked, is_conversation, messages_of, render, turns_of
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, ImportedResponse, prompt_id_of

QUESTIONS = ("question", "instruction", "query")
CONVERSATIONS = ("conversations", "conversation", "messages", "context", "history")


def asked_of(row: Row) -> list[Message]:
    """The messages that the row's responses answer, the system message first; none where no field holds them."""
    found = _prompt(row)
    if not found:
        return []
    system = next((row.text(name, required=False) for name in ("system", "system_prompt") if row.has(name)), "")
    if system.strip() and found[0]["role"] != "system":
        found = [{"role": "system", "content": system}, *found]
    return found


def asked_by(row: Row) -> list[Message]:
    """The messages that the row's responses answer. Raises PalateError where no field holds them."""
    asked = asked_of(row)
    if not asked:
        if "prompt" in row.values:
            row.text("prompt")
        row.fail("prompt", _("is missing; name the field that holds it with --map prompt=FIELD"))
    return asked


def _prompt(row: Row) -> list[Message]:
    if row.has("prompt"):
        return _messages_or_text(row, "prompt")
    if name := next((name for name in QUESTIONS if row.has(name)), ""):
        text = row.text(name)
        if name == "instruction" and row.has("input"):
            text = f"{text}\n\n{row.text('input')}"
        return [*_history(row), {"role": "user", "content": text}]
    if name := next((name for name in CONVERSATIONS if is_conversation(row.values.get(name))), ""):
        return asked(row, name, messages_of(row, name))
    return []


def _messages_or_text(row: Row, field: str) -> list[Message]:
    if is_conversation(row.values.get(field)):
        return asked(row, field, messages_of(row, field))
    text = row.text(field)
    turns = turns_of(text)
    # HH-RLHF's way of asking: the dialogue ends where the assistant's turn begins.
    if turns and turns[-1] == {"role": "assistant", "content": ""}:
        return asked(row, field, turns[:-1])
    return [*_history(row), {"role": "user", "content": text.rstrip()}]


def _history(row: Row) -> list[Message]:
    """Earlier turns, as messages or as pairs of a question and its answer."""
    if not row.has("history"):
        return []
    if is_conversation(row.values.get("history")):
        return messages_of(row, "history")
    turns: list[Message] = []
    for entry in row.list_of("history"):
        if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(text, str) for text in entry)):
            row.fail("history", _("expected messages, or pairs of a question and its answer"))
        turns += [{"role": "user", "content": entry[0]}, {"role": "assistant", "content": entry[1]}]
    return turns


def bundle_of(
    row: Row,
    messages: Sequence[Message],
    responses: Sequence[ImportedResponse],
    *judgements: ImportedJudgement,
    **rest: Any,
) -> Bundle:
    """The row's prompt with its responses and judgements, and with the fields that every shape reads."""
    messages = [*messages[:-1], {**messages[-1], "content": messages[-1]["content"].rstrip()}]
    text = Row(row.file, row.line, {"prompt": render(messages)}).text("prompt")
    return Bundle(
        row=row,
        prompt_id=row.name("prompt_id", required=False) or prompt_id_of(messages),
        prompt=text,
        messages=messages if len(messages) > 1 else (),
        responses=responses,
        judgements=judgements,
        group=row.name("group", required=False),
        split=row.name("split", required=False),
        reference=row.text("reference", required=False),
        context=row.text("context", required=False),
        audience=row.tags("audience"),
        **rest,
    )
