"""Argilla's records: rankings of fields, or a label that names the better one."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row
from annotate.exchange.formats.fields import TIES, Fields, mark_read, match
from annotate.exchange.importers.import_records import Bundle, ImportedJudgement, dense, digest, written
from annotate.exchange.importers.notes import Notes

SUFFIX = ".responses"


def argilla(row: Row, fields: Fields, notes: Notes) -> list[Bundle]:
    """A record with fields and responses: nested as in `to_list()`, flattened as in `to_datasets()`, or of version 1.

    Discarded and unsent answers are left out and counted; an answer that no question's type reads is refused.
    """
    data = row.values.get("fields") if row.has("fields") else None
    if not isinstance(data, dict):
        data = {name: value for name, value in row.values.items() if isinstance(value, str) and name not in SKIPPED}
    prompt = fields.prompt_of(row, data)
    names = fields.responses_of(row, data, prompt)
    texts = {name: written(row, data[name], name, author=name) for name in names}
    mark_read(row, prompt, *names)
    judgements, unread = [], []
    for question, number, answer in _answers(row):
        if answer.get("status", "submitted") != "submitted":
            notes.leave_out("unsubmitted_answers")
            continue
        ranks = _ranks(row, question, answer.get("value"), names)
        if ranks is None:
            unread.append(question)
            continue
        record = row.name("id", required=False) or row.name("record_id", required=False)
        rater = str(answer.get("user_id") or "") or None
        judgements.append(
            ImportedJudgement(
                external_id=f"argilla:{record}:{question}:{rater or number}" if record else "",
                shown=[texts[name].external_id for name in names],
                ranks=ranks,
                rater=rater,
            )
        )
    if unread and not judgements:
        message = _("its answers are no ranking or choice between %(names)s; leave the question out with --ignore")
        row.fail(unread[0], message, names=", ".join(names))
    notes.ignore(unread)
    text = Row(row.file, row.line, data).text(prompt)
    responses = list({w.external_id: w for w in texts.values()}.values())
    return [
        Bundle(
            row, digest(text), text, responses=responses, judgements=judgements, split=row.name("split", required=False)
        )
    ]


SKIPPED = {"id", "record_id", "status", "_server_id", "split", "external_id", "metadata", "inserted_at", "updated_at"}


def _answers(row: Row) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(question, number, {value, user_id, status}) of each answer."""
    nested = row.values.get("responses") if row.has("responses") else None
    if isinstance(nested, list):
        yield from _by_rater(row, nested)
        return
    if isinstance(nested, dict):
        answers = {question: own for question, own in nested.items() if isinstance(own, list)}
    else:
        answers = {name.removesuffix(SUFFIX): _flat(row, name) for name in row.values if name.endswith(SUFFIX)}
        answers |= {name: row.values[name] for name, value in row.values.items() if holds_answers(value)}
    for question, own in answers.items():
        for number, answer in enumerate(own):
            if isinstance(answer, dict):
                yield question, number, answer


def holds_answers(value: Any) -> bool:
    """Whether a field is a question as version 1 wrote it to the Hub: a list of answers."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(entry, dict) and {"user_id", "value", "status"} <= set(entry) for entry in value)
    )


def _by_rater(row: Row, responses: list[Any]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Version 1's records: a response a rater, with a value a question."""
    for number, response in enumerate(responses):
        values = response.get("values") if isinstance(response, dict) else None
        if not isinstance(values, dict | None) or not isinstance(response, dict):
            row.fail("responses", _("expected objects with values, status and user_id"))
        shared = {name: response.get(name) for name in ("user_id", "status") if response.get(name)}
        if not values:
            yield "", number, {**shared, "status": shared.get("status", "discarded")}
        for question, answer in (values or {}).items():
            yield question, number, {**shared, "value": answer.get("value") if isinstance(answer, dict) else answer}


def _flat(row: Row, name: str) -> list[dict[str, Any]]:
    values = row.values[name] or []
    columns = [row.values.get(f"{name}.{part}") or [None] * len(values) for part in ("users", "status")]
    if not all(isinstance(c, list) and len(c) == len(values) for c in (values, *columns)):
        row.fail(name, _("expected lists of the same length for responses, users and status"))
    rows = zip(values, *columns, strict=True)
    return [{"value": value, "user_id": user, "status": status or "submitted"} for value, user, status in rows]


def _ranks(row: Row, question: str, value: Any, names: list[str]) -> list[int] | None:
    """None where the question is of another kind, such as a free text."""
    if isinstance(value, list) and value:
        if all(isinstance(entry, dict) and "rank" in entry for entry in value):
            places = {match(row, question, entry.get("value"), names): entry["rank"] for entry in value}
        else:
            places = {match(row, question, entry, names): place for place, entry in enumerate(value)}
        if set(places) != set(names):
            message = _("ranks %(ranked)s; expected each of %(names)s")
            row.fail(question, message, ranked=", ".join(places), names=", ".join(names))
        return dense([places[name] for name in names])
    if not isinstance(value, str) or len(names) != 2:
        return None
    if value.lower() in TIES:
        return [1, 1]
    return [1, 2] if match(row, question, value, names) == names[0] else [2, 1]
