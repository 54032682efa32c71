"""Argilla's records: rankings of fields, or a label that names the better one."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.bundles import Bundle, Said, dense, digest, written
from annotate.exchange.files import Row
from annotate.exchange.shapes.fields import Fields, match

TIES = {"tie", "equal", "both", "same", "neither", "none"}
SUFFIX = ".responses"


def argilla(row: Row, fields: Fields) -> list[Bundle]:
    """A record with fields and responses, nested as in `to_list()` or flattened as in `to_datasets()`."""
    data = row.values.get("fields")
    if not isinstance(data, dict):
        data = {name: value for name, value in row.values.items() if isinstance(value, str) and name not in SKIPPED}
    prompt = fields.prompt_of(row, data)
    names = fields.responses_of(row, data, prompt)
    texts = {name: written(row, data[name], name, author=name) for name in names}
    said = []
    for question, number, answer in _answers(row):
        ranks = _ranks(row, question, answer.get("value"), names)
        if ranks is None:
            continue
        record = row.values.get("id") or row.values.get("record_id")
        rater = str(answer.get("user_id") or "") or None
        said.append(
            Said(
                external_id=f"argilla:{record}:{question}:{rater or number}" if record else "",
                shown=[texts[name].external_id for name in names],
                ranks=ranks,
                rater=rater,
            )
        )
    text = Row(row.file, row.line, data).text(prompt)
    return [Bundle(row, digest(text), text, list({w.external_id: w for w in texts.values()}.values()), said)]


SKIPPED = {"id", "record_id", "status", "_server_id", "split", "external_id"}


def _answers(row: Row) -> Iterator[tuple[str, int, dict[str, Any]]]:
    nested = row.values.get("responses")
    if isinstance(nested, dict):
        found = {question: answers for question, answers in nested.items() if isinstance(answers, list)}
    else:
        found = {name.removesuffix(SUFFIX): _flat(row, name) for name in row.values if name.endswith(SUFFIX)}
    for question, answers in found.items():
        for number, answer in enumerate(answers):
            if isinstance(answer, dict) and answer.get("status", "submitted") == "submitted":
                yield question, number, answer


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
            said = _("ranks %(ranked)s; expected each of %(names)s")
            row.fail(question, said, ranked=", ".join(places), names=", ".join(names))
        return dense([places[name] for name in names])
    if not isinstance(value, str) or len(names) != 2:
        return None
    if value.lower() in TIES:
        return [1, 1]
    return [1, 2] if match(row, question, value, names) == names[0] else [2, 1]
