"""Rows of a chosen and a rejected response: TRL's forms and their relatives, and the dialogues of HH-RLHF."""

from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row
from annotate.exchange.formats.conversations import (
    ASSISTANT,
    Message,
    is_conversation,
    messages_of,
    render,
    split_answer,
    turns_of,
)
from annotate.exchange.formats.prompts import asked_by, asked_of, bundle_of
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, ImportedResponse, written

AUTHORS = ("_model", "_author", "_generator")


def trl(row: Row) -> list[Bundle]:
    """prompt, chosen, rejected; or chosen, rejected with the prompt in both; or prompt, completion, label.

    Texts, or messages with role and content. The prompt may have another name (shapes/asked.py).
    """
    if "completion" in row.values and not row.has("chosen"):
        return [_unpaired(row)]
    asked = asked_of(row)
    if not any(is_conversation(row.values.get(field)) for field in ("chosen", "rejected")):
        return [_pair(row, asked or asked_by(row), *(row.text(field, blank=True) for field in ("chosen", "rejected")))]
    talks = [_whole(row, field, asked) for field in ("chosen", "rejected")]
    head = _shared(*talks)
    if not head:
        row.fail("prompt", _("is missing, and chosen and rejected share no turn of the user at their beginning"))
    return [_pair(row, head, *(render(talk[len(head) :]) for talk in talks))]


def hh(row: Row) -> list[Bundle]:
    """chosen and rejected are whole dialogues that differ in the assistant's last turn."""
    (before, good), (other, bad) = (_last_turn(row, field) for field in ("chosen", "rejected"))
    if before != other:
        row.fail("rejected", _("begins with another dialogue than chosen; only the last turn may differ"))
    asked = turns_of(before)
    if not asked or asked[-1]["role"] != "user":
        row.fail("prompt", _("is missing: chosen and rejected share no turn of a human before the last answer"))
    return [_pair(row, asked, good, bad)]


def _last_turn(row: Row, field: str) -> tuple[str, str]:
    before, found, answer = row.text(field).rpartition(ASSISTANT)
    if not found:
        row.fail(field, _("holds no turn that begins with an empty line and Assistant:"))
    return before, answer.strip()


def _whole(row: Row, field: str, asked: list[Message]) -> list[Message]:
    """The conversation of a field from the prompt on, whether the field repeats the prompt or not."""
    value = row.values.get(field)
    if not is_conversation(value):
        return [*asked, {"role": "assistant", "content": row.text(field, blank=True)}]
    talk = messages_of(row, field)
    split_answer(row, field, talk)
    if not asked:
        return talk
    without_system = asked[1:] if asked[0]["role"] == "system" else asked
    for beginning in (asked, without_system):
        if talk[: len(beginning)] == beginning:
            return [*asked, *talk[len(beginning) :]]
    if talk[0]["role"] == "system" and asked[0]["role"] != "system" and talk[1 : 1 + len(asked)] == asked:
        return talk
    if talk[0]["role"] == "assistant":
        return [*asked, *talk]
    return row.fail(field, _("begins with another turn of the user than the prompt"))


def _shared(chosen: list[Message], rejected: list[Message]) -> list[Message]:
    """The whole turns with which both conversations begin, up to a turn of the user; the last one is an answer."""
    length = 0
    for number, (one, other) in enumerate(zip(chosen[:-1], rejected[:-1], strict=False), start=1):
        if one != other:
            break
        if one["role"] == "user":
            length = number
    return chosen[:length]


def _pair(row: Row, asked: list[Message], good: str, bad: str) -> Bundle:
    if good == bad:
        row.fail("rejected", _("is the same text as chosen"))
    texts = ((good, "chosen"), (bad, "rejected"))
    pair = [written(row, text, field, author=_author(row, field)) for text, field in texts]
    return bundle_of(row, asked, pair, ImportedJudgement("", [w.external_id for w in pair], ranks=[1, 2]))


def _author(row: Row, field: str) -> str:
    return next((name for end in AUTHORS if (name := row.name(f"{field}{end}", required=False))), "")


def _unpaired(row: Row) -> Bundle:
    value = row.values["completion"]
    text = _completion(row) if is_conversation(value) else row.text("completion", blank=True)
    label: Any = row.values.get("label")
    if str(label).lower() not in ("true", "false", "1", "0"):
        row.fail("label", _("%(value)r; expected true or false"), value=label)
    response: ImportedResponse = written(row, text, "completion")
    good = float(str(label).lower() in ("true", "1"))
    judgement = ImportedJudgement("", [response.external_id], scores={"label": [good]})
    return bundle_of(row, asked_by(row), [response], judgement, scales={"label": (0.0, 1.0)})


def _completion(row: Row) -> str:
    talk = messages_of(row, "completion")
    before, answer = split_answer(row, "completion", talk)
    return render(talk) if before else answer
