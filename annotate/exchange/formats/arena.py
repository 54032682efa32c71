"""Battles of two models, in the forms that Chatbot Arena and MT-Bench published."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, is_number, moment_of
from annotate.exchange.formats.conversations import Message, messages_of, render, split_answer
from annotate.exchange.formats.fields import mark_read
from annotate.exchange.formats.prompts import bundle_of
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, ImportedResponse, digest


def arena(row: Row) -> list[Bundle]:
    """question_id, model_a, model_b, winner, judge, conversation_a, conversation_b, tstamp, turn; or
    id, prompt, response_a, response_b and a column winner_* that is 1."""
    asked, texts = _conversations(row) if row.has("conversation_a") else _columns(row)
    models = [row.name("model_a"), row.name("model_b")]
    if texts[0] == texts[1]:
        row.fail("model_b", _("wrote the same text as model_a, so there is nothing to compare"))
    responses = [
        ImportedResponse(digest(f"{model}\n{text}"), text, model) for model, text in zip(models, texts, strict=True)
    ]
    ranks, neither = _winner(row)
    judgement = ImportedJudgement(
        external_id=_battle(row),
        shown=[response.external_id for response in responses],
        ranks=ranks,
        unacceptable=[neither, neither],
        rater=row.name("judge", required=False) or None,
        at=_moment(row),
        order_known=True,
    )
    return [bundle_of(row, asked, responses, judgement)]


def _battle(row: Row) -> str:
    """The id of the battle. Rows with a turn have none for sure: MT-Bench numbers its questions, not its battles."""
    if row.has("turn"):
        mark_read(row, "question_id")
        return ""
    battle = row.name("question_id", required=False) or row.name("id", required=False)
    return f"arena:{battle}" if battle else ""


def _winner(row: Row) -> tuple[Sequence[int], bool]:
    if winner := row.text("winner", required=False):
        known = {"model_a": [1, 2], "model_b": [2, 1], "tie": [1, 1], "tie (bothbad)": [1, 1], "both_bad": [1, 1]}
        if winner not in known:
            row.fail("winner", _("%(value)r; expected one of %(known)s"), value=winner, known=", ".join(known))
        return known[winner], "bad" in winner
    columns = {"winner_model_a": [1, 2], "winner_model_b": [2, 1], "winner_tie": [1, 1]}
    won = [name for name in columns if str(row.values.get(name)).lower() in ("1", "1.0", "true")]
    if len(won) != 1:
        row.fail("winner", _("exactly one of %(columns)s must be 1"), columns=", ".join(columns))
    return columns[won[0]], False


def _conversations(row: Row) -> tuple[list[Message], list[str]]:
    sides = [_up_to_turn(row, messages_of(row, field)) for field in ("conversation_a", "conversation_b")]
    questions = [[message for message in side if message["role"] != "assistant"] for side in sides]
    if questions[0] != questions[1]:
        row.fail("conversation_b", _("asks something else than conversation_a"))
    for field, side in zip(("conversation_a", "conversation_b"), sides, strict=True):
        split_answer(row, field, side)
    # In a longer talk the answers differ from the first turn on: what both saw is the first question.
    first = next((n for n, message in enumerate(sides[0]) if message["role"] == "assistant"), 0)
    if not first or sides[0][:first] != sides[1][:first]:
        row.fail("conversation_a", _("expected conversations that begin with a turn of the user"))
    return sides[0][:first], [render(side[first:]) for side in sides]


def _up_to_turn(row: Row, talk: list[Message]) -> list[Message]:
    """The part of the conversation that was judged: up to the answer of the turn that the row names.

    In Chatbot Arena's files `turn` is the number of turns, which comes to the same.
    """
    if not row.has("turn"):
        return talk
    turn = row.values.get("turn")
    ends = [number for number, message in enumerate(talk, start=1) if message["role"] == "assistant"]
    if not isinstance(turn, int) or not 1 <= turn <= len(ends):
        row.fail("turn", _("%(turn)r; expected a turn of the conversation, 1 to %(last)d"), turn=turn, last=len(ends))
    return talk[: ends[turn - 1]]


def _columns(row: Row) -> tuple[list[Message], list[str]]:
    """The cells hold JSON arrays, one text a turn, or plain texts."""
    prompt, *answers = (_turns(row, field) for field in ("prompt", "response_a", "response_b"))
    asked = [{"role": "user", "content": prompt[0]}]
    if len(prompt) == 1:
        return asked, [answer[0] for answer in answers]
    texts = []
    for answer, field in zip(answers, ("response_a", "response_b"), strict=True):
        if len(answer) != len(prompt):
            message = _("number of turns: %(answers)d; the prompt has %(prompts)d")
            row.fail(field, message, answers=len(answer), prompts=len(prompt))
        turns = [{"role": "assistant", "content": answer[0]}]
        for question, text in zip(prompt[1:], answer[1:], strict=True):
            turns += [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        texts.append(render(turns))
    return asked, texts


def _turns(row: Row, field: str) -> list[str]:
    text = row.text(field, blank=field != "prompt")
    if text.startswith("["):
        try:
            turns = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        if isinstance(turns, list) and turns and all(isinstance(turn, str) for turn in turns):
            return turns
        row.fail(field, _("expected a JSON array of texts without gaps"))
    return [text]


def _moment(row: Row) -> datetime | None:
    stamp: Any = row.values.get("tstamp")
    if is_number(stamp) and 0 < stamp < 4e9:
        return datetime.fromtimestamp(float(stamp), UTC)
    text = row.values.get("timestamp")
    return moment_of(text) if isinstance(text, str) else None
