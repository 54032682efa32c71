"""Candidates for the next judgements of a study: its tasks, and pairs of responses without a task."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, groupby
from operator import itemgetter
from typing import Any

from django.db.models import QuerySet

from annotate.collection.keys import task_key
from annotate.models.choices import ChosenBy, Purpose
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Study
from annotate.models.tasks import Task, TaskResponse
from training.engine.active_learning.selection import alike

# Limit of the pairs without a task that are considered, with prompts in random order.
MAX_PAIRS = 500_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of responses to one prompt, by primary keys. The key, a hash of the set, is its rank in the random order.

    texts: a number for each response, equal for near-identical texts. drawn: whether it belongs to the random sample.
    fresh: whether nobody has begun it. open: whether it can be prioritized.
    """

    key: str
    prompt: int
    responses: tuple[int, ...]
    texts: tuple[int, ...]
    drawn: bool
    fresh: bool
    open: bool

    @property
    def twin(self) -> frozenset[int]:
        """A value that is equal for tasks with the same texts."""
        return frozenset(self.texts)


def tasks_of(study: Study, split: str) -> tuple[list[Candidate], list[Candidate]]:
    """Return the study's own tasks and those that next_tasks created, without tasks of identical texts."""
    prompts = prompts_of(study, split)
    texts = _texts(study)
    tasks = Task.objects.filter(study=study, purpose=Purpose.COLLECT, withdrawn=False, prompt__in=prompts)
    places = TaskResponse.objects.filter(task__in=tasks).order_by("task", "position")
    rows = places.values_list(
        *("task__key", "task__prompt", "task__chosen_by", "task__slots_taken", "task__replication", "task__ad_hoc"),
        "response",
    )
    candidates: tuple[list[Candidate], list[Candidate]] = ([], [])
    for (key, prompt, by, taken, replication, ad_hoc), own in groupby(rows.iterator(), key=lambda row: row[:6]):
        responses = tuple(row[6] for row in own)
        numbers = tuple(texts[pk] for pk in responses)
        if len(set(numbers)) == len(numbers):
            candidates[ad_hoc].append(
                Candidate(key, prompt, responses, numbers, by == ChosenBy.RANDOM, taken == 0, taken < replication)
            )
    return candidates


def pairs_of(study: Study, split: str, planned: list[Candidate], created: list[Candidate]) -> list[Candidate]:
    """Return pairs of responses to one prompt without a task of the study's own; existing created ones are not
    fresh."""
    texts, own = _texts(study), {candidate.key for candidate in planned}
    there = {candidate.key: candidate.drawn for candidate in created}
    responses = Response.objects.filter(prompt__in=prompts_of(study, split)).order_by("prompt", "id")
    rows = responses.values_list("prompt", "pk").iterator()
    by_prompt = {prompt: [pk for _, pk in of_prompt] for prompt, of_prompt in groupby(rows, key=itemgetter(0))}
    candidates: list[Candidate] = []
    for prompt in sorted(by_prompt, key=lambda pk: task_key([pk])):
        if len(candidates) >= MAX_PAIRS:
            break
        for pair in combinations(by_prompt[prompt], 2):
            key, numbers = task_key(pair), (texts[pair[0]], texts[pair[1]])
            if key not in own and numbers[0] != numbers[1]:
                new = key not in there
                candidates.append(Candidate(key, prompt, pair, numbers, there.get(key, False), new, new))
    return candidates


def prompts_of(study: Study, split: str) -> "QuerySet[Any, int]":
    """Return the primary keys of the prompts of a split, or of all prompts."""
    prompts = Prompt.objects.filter(study=study)
    return (prompts if split == "all" else prompts.filter(split=split)).values_list("pk", flat=True)


def _texts(study: Study) -> Mapping[int, int]:
    """Return a number for the text of each response, equal for near-identical texts."""
    rows = Response.objects.filter(prompt__study=study).values_list("pk", "text").iterator()
    return {pk: hash(alike(text)) for pk, text in rows}
