"""What every shape of import reduces to: a prompt, responses to it, and what raters said of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from annotate.exchange.files.rows import Row
from annotate.exchange.formats.conversations import Message
from annotate.models.choices import Kind, Part, Purpose

MAX_RESPONSES = 100


@dataclass(frozen=True, slots=True)
class ImportedResponse:
    """A response by its id in the source; `digest` gives one where the source has none."""

    external_id: str
    text: str
    author: str = "unknown"


@dataclass(frozen=True, slots=True)
class ImportedJudgement:
    """One judgement. Everything that is one a response runs in the order of `shown`, which holds response ids.

    external_id names the judgement in its source: imported again, it is known. supersedes: such an id.
    rater: None where the source names none. order_known: the rater saw the responses in the order of `shown`.
    """

    external_id: str
    shown: Sequence[str]
    ranks: Sequence[int] | None = None
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rater: str | None = None
    kind: str = Kind.IMPORTED
    status: str = ""
    strength: int | None = None
    unacceptable: Sequence[bool] = ()
    label: str = ""
    confidence: int | None = None
    comment: str = ""
    seconds: float | None = None
    at: datetime | None = None
    part: str = Part.VOTE
    device: str = ""
    instructions_version: int = 0
    live: bool = True
    supersedes: str = ""
    order_known: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """row: where it stands, for errors. scales: ranges of the criteria that are scored, where the source tells.
    messages: of a prompt that is a conversation, else none. chosen_by: what put the task forward.

    divided: a part of the split train, by the stable hash, is for validation. audience: tags that a rater needs.
    """

    row: Row
    prompt_id: str
    prompt: str
    responses: Sequence[ImportedResponse] = ()
    judgements: Sequence[ImportedJudgement] = ()
    group: str = ""
    split: str = ""
    divided: bool = False
    reference: str = ""
    context: str = ""
    audience: Sequence[str] = ()
    purpose: str = Purpose.COLLECT
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    chosen_by: str = ""


def digest(text: str) -> str:
    """An id for a text that came without one."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def prompt_id_of(messages: Sequence[Message]) -> str:
    """An id for a prompt that came without one: of its text, or of a conversation with its roles."""
    return digest(messages[0]["content"] if len(messages) == 1 else json.dumps(messages, ensure_ascii=False))


def written(row: Row, text: Any, field: str, *, author: str = "", external_id: str = "") -> ImportedResponse:
    """A response whose text stands in a field of the row."""
    text = Row(row.file, row.line, {field: text}).text(field, blank=True)
    return ImportedResponse(external_id or digest(text), text, author or "unknown")


def dense(values: Sequence[float]) -> list[int]:
    """Ranks 1, 2, 3 … in the order of any numbers, the lowest first, equal numbers tied."""
    order = sorted(set(values))
    return [order.index(value) + 1 for value in values]
