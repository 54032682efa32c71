"""OpenAssistant's message trees: the ranked replies of assistants to each prompt of the talk."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.bundles import MOST_RESPONSES, Bundle, Said, Written, dense, dialogue, written
from annotate.exchange.files import Row, is_number


def oasst(row: Row) -> list[Bundle]:
    """message_tree_id and prompt: {message_id, text, role, replies: […]}, replies of assistants with a rank from 0."""
    root = row.values.get("prompt")
    if not isinstance(root, dict):
        row.fail("prompt", _("expected a message with text and replies"))
    tree = row.name("message_tree_id", required=False)
    return list(_talk(row, root, [], tree))


def _talk(row: Row, root: dict[str, Any], before: Sequence[dict[str, Any]], tree: str) -> Iterator[Bundle]:
    """Every place of the tree where assistants answered, walked without recursion: trees may be deep."""
    waiting = [(root, list(before))]
    while waiting:
        message, talk = waiting.pop()
        talk = [*talk, {"role": message.get("role", ""), "content": _text(row, message)}]
        replies = [reply for reply in message.get("replies") or [] if isinstance(reply, dict)]
        answers = [reply for reply in replies if reply.get("role") == "assistant"][:MOST_RESPONSES]
        if answers and message.get("role") != "assistant":
            yield _bundle(row, message, talk, answers, tree)
        waiting += [(reply, talk) for reply in reversed(replies)]


def _bundle(
    row: Row, message: dict[str, Any], talk: list[dict[str, Any]], answers: list[dict[str, Any]], tree: str
) -> Bundle:
    named = str(message.get("message_id") or "")
    responses = [
        written(
            row, _text(row, answer), "text", author=_author(answer), external_id=str(answer.get("message_id") or "")
        )
        for answer in answers
    ]
    said = _ranking(named, answers, responses)
    return Bundle(row, named or tree, dialogue(talk), responses, [said] if said else [], group=tree)


def _ranking(named: str, answers: list[dict[str, Any]], responses: list[Written]) -> Said | None:
    """The order that OpenAssistant agreed on, as one judgement; there is none of fewer than two ranked replies."""
    ranked = [(a["rank"], r.external_id) for a, r in zip(answers, responses, strict=True) if is_number(a.get("rank"))]
    if len(ranked) < 2:
        return None
    return Said(f"oasst:{named}", [name for _, name in ranked], ranks=dense([rank for rank, _ in ranked]))


def _author(answer: dict[str, Any]) -> str:
    return str(answer.get("model_name") or "") or ("model" if answer.get("synthetic") else "volunteer")


def _text(row: Row, message: dict[str, Any]) -> str:
    return Row(row.file, row.line, message).text("text")
