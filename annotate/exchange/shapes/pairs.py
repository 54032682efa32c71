"""Rows of a chosen and a rejected response: TRL's forms, and the dialogues of HH-RLHF."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.bundles import Bundle, Said, Written, dialogue, digest, written
from annotate.exchange.files import Row

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"


def trl(row: Row) -> list[Bundle]:
    """prompt, chosen, rejected; or chosen, rejected with the prompt in both; or prompt, completion, label.

    Texts, or messages with role and content.
    """
    if "completion" in row.values:
        return [_unpaired(row)]
    chosen, rejected = row.values.get("chosen"), row.values.get("rejected")
    if isinstance(chosen, list) and isinstance(rejected, list):
        shared = _shared(_messages(row, "chosen"), _messages(row, "rejected"))
        prompt = dialogue(shared if row.values.get("prompt") is None else _messages(row, "prompt"))
        head = len(shared) if row.values.get("prompt") is None else 0
        good, bad = dialogue(chosen[head:]), dialogue(rejected[head:])
    elif row.values.get("prompt") is None:
        pairs = zip(row.text("chosen"), row.text("rejected"), strict=False)
        start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        # A word is never cut in two: its beginning belongs to the answers.
        while start and not str(chosen)[start - 1].isspace():
            start -= 1
        prompt, good, bad = str(chosen)[:start], str(chosen)[start:], str(rejected)[start:]
    else:
        prompt, good, bad = _asked(row), row.text("chosen"), row.text("rejected")
    return [_pair(row, prompt, good, bad)]


def hh(row: Row) -> list[Bundle]:
    """chosen and rejected are whole dialogues that differ in the assistant's last turn."""
    (prompt, good), (other, bad) = (_last_turn(row, field) for field in ("chosen", "rejected"))
    if prompt != other:
        row.fail("rejected", _("begins with another dialogue than chosen; only the last turn may differ"))
    return [_pair(row, prompt, good, bad)]


def _last_turn(row: Row, field: str) -> tuple[str, str]:
    text = row.text(field)
    before, found, answer = text.rpartition(ASSISTANT)
    if not found:
        row.fail(field, _("holds no turn that begins with an empty line and Assistant:"))
    turns = before.strip()
    single = turns.startswith("Human:") and HUMAN not in before.lstrip()[1:] and ASSISTANT not in before
    return (turns.removeprefix("Human:").strip() if single else turns), answer.strip()


def _pair(row: Row, prompt: str, good: str, bad: str) -> Bundle:
    if not prompt.strip():
        row.fail("prompt", _("is missing, and chosen and rejected share no beginning"))
    if good == bad:
        row.fail("rejected", _("is the same text as chosen"))
    pair = [written(row, text, field) for text, field in ((good, "chosen"), (bad, "rejected"))]
    return _bundle(row, prompt, pair, Said("", [w.external_id for w in pair], ranks=[1, 2]))


def _unpaired(row: Row) -> Bundle:
    completion = row.values["completion"]
    text = dialogue(_messages(row, "completion")) if isinstance(completion, list) else row.text("completion")
    label = row.values.get("label")
    if str(label).lower() not in ("true", "false", "1", "0"):
        row.fail("label", _("%(value)r; expected true or false"), value=label)
    response = written(row, text, "completion")
    good = float(str(label).lower() in ("true", "1"))
    said = Said("", [response.external_id], scores={"label": [good]})
    return _bundle(row, _asked(row), [response], said, scales={"label": (0.0, 1.0)})


def _bundle(row: Row, prompt: str, responses: Sequence[Written], said: Said, **rest: Any) -> Bundle:
    group, split = row.name("group", required=False), row.name("split", required=False)
    given = row.name("prompt_id", required=False)
    prompt = Row(row.file, row.line, {"prompt": prompt.rstrip()}).text("prompt")
    return Bundle(row, given or digest(prompt), prompt, responses, [said], group=group, split=split, **rest)


def _asked(row: Row) -> str:
    prompt = row.values.get("prompt")
    return dialogue(_messages(row, "prompt")) if isinstance(prompt, list) else row.text("prompt")


def _messages(row: Row, field: str) -> list[dict[str, Any]]:
    messages = row.list_of(field)
    if not messages or not all(isinstance(m, dict) and isinstance(m.get("content"), str) for m in messages):
        row.fail(field, _("expected messages with role and content"))
    return messages


def _shared(a: list[Any], b: list[Any]) -> list[Any]:
    """The messages with which both conversations begin; the last message of each is an answer."""
    shared: list[Any] = []
    for one, other in zip(a[:-1], b[:-1], strict=False):
        if one != other:
            break
        shared.append(one)
    return shared
