"""OpenAssistant's message trees: the ranked replies of assistants to each prompt of the talk."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, is_number
from annotate.exchange.formats.conversations import ROLES, Message, render
from annotate.exchange.importers.import_records import (
    MAX_RESPONSES,
    Bundle,
    ImportedJudgement,
    ImportedResponse,
    dense,
    prompt_id_of,
    written,
)
from annotate.exchange.importers.notes import Notes


def oasst(row: Row, notes: Notes) -> list[Bundle]:
    """message_tree_id and prompt: {message_id, text, role, replies: […]}, replies of assistants with a rank from 0.

    Messages that were deleted or that reviewers rejected are left out with everything below them, and counted.
    """
    root = row.values.get("prompt")
    if not isinstance(root, dict):
        row.fail("prompt", _("expected a message with text and replies"))
    tree = row.name("message_tree_id", required=False)
    for name in ("tree_state", "origin"):
        row.values.get(name)
    if _is_withdrawn(root):
        notes.leave_out("deleted_messages", _size(root))
        return []
    return list(_talk(row, root, tree, notes))


def _is_withdrawn(message: dict[str, Any]) -> bool:
    return message.get("deleted") is True or message.get("review_result") is False


def _size(message: dict[str, Any]) -> int:
    """How many messages a subtree has."""
    count, waiting = 0, [message]
    while waiting:
        count += 1
        waiting += _replies(waiting.pop())
    return count


def _replies(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [reply for reply in message.get("replies") or [] if isinstance(reply, dict)]


def _talk(row: Row, root: dict[str, Any], tree: str, notes: Notes) -> Iterator[Bundle]:
    """Every place of the tree where assistants answered, walked without recursion: trees may be deep."""
    waiting: list[tuple[dict[str, Any], list[Message]]] = [(root, [])]
    while waiting:
        message, talk = waiting.pop()
        talk = [*talk, {"role": _role(row, message), "content": _text(row, message)}]
        replies = []
        for reply in _replies(message):
            if _is_withdrawn(reply):
                notes.leave_out("deleted_messages", _size(reply))
            else:
                replies.append(reply)
        answers = [reply for reply in replies if reply.get("role") == "assistant"]
        if len(answers) > MAX_RESPONSES:
            notes.leave_out("surplus_answers", len(answers) - MAX_RESPONSES)
            answers = answers[:MAX_RESPONSES]
        if answers and message.get("role") != "assistant":
            yield _bundle(row, message, talk, answers, tree)
        waiting += [(reply, talk) for reply in reversed(replies)]


def _role(row: Row, message: dict[str, Any]) -> str:
    role = str(message.get("role", "")).lower()
    if role not in ROLES:
        row.fail("role", _("%(role)r; expected one of %(known)s"), role=role, known="prompter, assistant")
    return ROLES[role]


def _bundle(row: Row, message: dict[str, Any], talk: list[Message], answers: list[dict[str, Any]], tree: str) -> Bundle:
    named = str(message.get("message_id") or "")
    responses = [
        written(
            row, _text(row, answer), "text", author=_author(answer), external_id=str(answer.get("message_id") or "")
        )
        for answer in answers
    ]
    judgement = _ranking(named, answers, responses)
    return Bundle(
        row=row,
        prompt_id=named or tree or prompt_id_of(talk),
        prompt=render(talk),
        messages=talk if len(talk) > 1 else (),
        responses=responses,
        judgements=[judgement] if judgement else [],
        group=tree,
        split=row.name("split", required=False),
    )


def _ranking(named: str, answers: list[dict[str, Any]], responses: list[ImportedResponse]) -> ImportedJudgement | None:
    """The order that OpenAssistant agreed on, as one judgement; there is none of fewer than two ranked replies."""
    ranked = [(a["rank"], r.external_id) for a, r in zip(answers, responses, strict=True) if is_number(a.get("rank"))]
    if len(ranked) < 2:
        return None
    return ImportedJudgement(f"oasst:{named}", [name for _, name in ranked], ranks=dense([rank for rank, _ in ranked]))


def _author(answer: dict[str, Any]) -> str:
    return str(answer.get("model_name") or "") or ("model" if answer.get("synthetic") else "volunteer")


def _text(row: Row, message: dict[str, Any]) -> str:
    return Row(row.file, row.line, message).text("text")
