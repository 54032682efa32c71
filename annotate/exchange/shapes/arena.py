"""Battles of two models, in both forms that Chatbot Arena published."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.bundles import Bundle, Said, Written, dialogue, digest
from annotate.exchange.files import Row, is_number


def arena(row: Row) -> list[Bundle]:
    """question_id, model_a, model_b, winner, judge, conversation_a, conversation_b, tstamp; or
    id, prompt, response_a, response_b and a column winner_* that is 1."""
    prompt, texts = _conversations(row) if "conversation_a" in row.values else _columns(row)
    models = [row.name("model_a"), row.name("model_b")]
    if texts[0] == texts[1]:
        row.fail("model_b", _("wrote the same text as model_a, so there is nothing to compare"))
    responses = [Written(digest(f"{model}\n{text}"), text, model) for model, text in zip(models, texts, strict=True)]
    ranks, neither = _winner(row)
    battle = row.name("question_id", required=False) or row.name("id", required=False)
    said = Said(
        external_id=f"arena:{battle}" if battle else "",
        shown=[response.external_id for response in responses],
        ranks=ranks,
        unacceptable=[neither, neither],
        rater=row.name("judge", required=False) or None,
        at=_moment(row.values.get("tstamp")),
    )
    return [Bundle(row, digest(prompt), prompt, responses, [said], split=row.name("split", required=False))]


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


def _conversations(row: Row) -> tuple[str, list[str]]:
    sides = [_list(row, field) for field in ("conversation_a", "conversation_b")]
    for side in sides:
        if len(side) < 2 or not all(isinstance(m, dict) and isinstance(m.get("content"), str) for m in side):
            row.fail("conversation_a", _("expected conversations of messages with role and content"))
    asked = [[m["content"] for m in side if m.get("role") == "user"] for side in sides]
    if asked[0] != asked[1]:
        row.fail("conversation_b", _("asks something else than conversation_a"))
    # In a longer talk the answers differ from the first turn on: what both saw is the first question.
    if len(sides[0]) == 2 == len(sides[1]):
        return asked[0][0], [side[1]["content"] for side in sides]
    return asked[0][0], [dialogue(side[1:]) for side in sides]


def _columns(row: Row) -> tuple[str, list[str]]:
    """The cells hold JSON arrays, one text a turn, or plain texts."""
    prompt, *answers = (_turns(row, field) for field in ("prompt", "response_a", "response_b"))
    if len(prompt) == 1:
        return prompt[0], [answer[0] for answer in answers]
    told = []
    for answer in answers:
        turns = [{"role": "assistant", "content": answer[0]}]
        for question, text in zip(prompt[1:], answer[1:], strict=False):
            turns += [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        told.append(dialogue(turns))
    return prompt[0], told


def _turns(row: Row, field: str) -> list[str]:
    text = row.text(field)
    if text.startswith("["):
        try:
            turns = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        if isinstance(turns, list) and turns and all(isinstance(turn, str) for turn in turns):
            return turns
        row.fail(field, _("expected a JSON array of texts without gaps"))
    return [text]


def _list(row: Row, field: str) -> list[Any]:
    value = row.values.get(field)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            row.fail(field, _("is not JSON"))
    if not isinstance(value, list):
        row.fail(field, _("is not a list of messages"))
    return value


def _moment(stamp: Any) -> datetime | None:
    return datetime.fromtimestamp(float(stamp), UTC) if is_number(stamp) and 0 < stamp < 4e9 else None
