"""One walk over a study for every export: some prompts at a time, their judgements from a server-side cursor."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from annotate.models.judgement_queries import JudgementQuerySet
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Criterion, Study
from core.records import Record

PROMPTS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Text:
    """A response, as exports tell of it."""

    external_id: str
    text: str
    author: str


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt with its responses by primary key. messages: of a prompt that is a conversation."""

    pk: int
    external_id: str
    group: str
    split: str
    text: str
    messages: list[dict[str, str]] | None
    responses: dict[int, Text]


def groups(study: Study, split: str) -> Iterator[list[Group]]:
    """The prompts of a split ("all" for every one) with their responses, PROMPTS_AT_A_TIME together."""
    prompts = Prompt.objects.filter(study=study).order_by("id")
    if split != "all":
        prompts = prompts.filter(split=split)
    rows = prompts.values_list("pk", "external_id", "group", "split", "text", "messages").iterator(
        chunk_size=PROMPTS_AT_A_TIME
    )
    while chunk := list(islice(rows, PROMPTS_AT_A_TIME)):
        responses: dict[int, dict[int, Text]] = {pk: {} for pk, *_ in chunk}
        found = Response.objects.filter(prompt__in=responses).order_by("id")
        for prompt, pk, external_id, text, name, model in found.values_list(
            "prompt", "pk", "external_id", "text", "author_name", "author_model__name"
        ):
            responses[prompt][pk] = Text(external_id, text, model or name)
        yield [Group(*fields, responses[fields[0]]) for fields in chunk]


def judgements(
    study: Study, split: str, chosen: JudgementQuerySet, *fields: str
) -> Iterator[tuple[Group, Iterator[Any]]]:
    """Each prompt that has any of the chosen judgements, with the wanted fields of those as tuples, oldest first."""
    for chunk in groups(study, split):
        by_pk = {group.pk: group for group in chunk}
        rows = chosen.filter(task__prompt__in=by_pk).order_by("task__prompt", "id")
        stream = rows.values_list("task__prompt", *fields).iterator(chunk_size=2000)
        for prompt, own in groupby(stream, key=lambda row: row[0]):
            yield by_pk[prompt], (row[1:] for row in own)


def records(study: Study, split: str, chosen: JudgementQuerySet) -> Iterator[tuple[Group, list[Record]]]:
    """Each prompt with its judgements as the engine's records; response ids are primary keys as texts."""
    scales = {criterion.key: criterion for criterion in study.criteria.all()}
    fields = ("rater", "shown", "ranks", "scores", "strength", "unacceptable")
    for group, rows in judgements(study, split, chosen, *fields):
        yield group, [_record(group, row, scales) for row in rows]


def _record(group: Group, row: Any, scales: dict[str, Criterion]) -> Record:
    rater, shown, ranks, scores, strength, unacceptable = row
    return Record(
        prompt_id=str(group.pk),
        group=group.group or group.external_id,
        prompt=group.text,
        response_ids=tuple(map(str, shown)),
        responses=tuple(group.responses[pk].text for pk in shown),
        ranks=tuple(ranks) if ranks is not None else None,
        rater=f"r{rater}",
        scores={key: _in_unit(values, scales[key]) for key, values in scores.items()},
        strength=strength,
        unacceptable=tuple(unacceptable),
    )


def _in_unit(values: list[float], scale: Criterion) -> tuple[float, ...]:
    return tuple((value - scale.minimum) / (scale.maximum - scale.minimum) for value in values)
