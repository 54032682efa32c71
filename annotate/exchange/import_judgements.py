"""Import of judgements with their prompts and responses. All or nothing, and idempotent."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import F

from annotate.exchange.copying import copy_in
from annotate.exchange.import_prompts import Report, read_prompts, save_prompts
from annotate.exchange.judgement_files import NewJudgement, NewResponse, read_judgements, read_responses
from annotate.exchange.studies import study_for_import
from annotate.judgements.models import Judgement
from annotate.members.models import Kind, Membership
from annotate.prompts.models import Prompt, Response
from annotate.studies.models import Method, Study
from annotate.studies.operations import add_criterion
from annotate.tasks.keys import task_key
from annotate.tasks.models import Task, TaskResponse

Scales = Mapping[str, tuple[float, float]]
DEFAULT_SCALE = (0.0, 100.0)
BATCH = 5000


def import_judgements(
    *,
    slug: str,
    prompts: Path,
    responses: Path,
    judgements: Path,
    group_by: str = "",
    scales: Scales | None = None,
    report: Report | None = None,
) -> dict[str, int | str]:
    """Store prompts, responses and judgements in a study, which is made when it is new.

    The files are read and checked as a whole before anything is written. Criteria that the study lacks get
    the range in `scales`, or else 0 to 100. Importing the same files again adds nothing.
    Raises PalateError that names file, line and field.
    """
    known_scales = {**_scales_of(slug), **(scales or {})}
    new_prompts = list(read_prompts(prompts, group_by=group_by))
    new_responses = read_responses(responses, {prompt.external_id for prompt in new_prompts} | _prompt_ids(slug))
    checked = defaultdict(lambda: DEFAULT_SCALE, known_scales)
    new = list(read_judgements(judgements, new_responses, checked))
    report = report or (lambda step, total: None)
    with transaction.atomic():
        criteria = sorted({key for judgement in new for key in judgement.scores})
        study, made = study_for_import(slug, _method(new), [_criterion(key, checked[key]) for key in criteria])
        for key in criteria:
            if not study.criteria.filter(key=key).exists():
                add_criterion(study=study, **_criterion(key, checked[key]))
        saved = save_prompts(study, new_prompts)
        ids, added = _save_responses(study, new_responses)
        counts = _save_judgements(study, new, ids, report)
    return {"study": study.slug, "study_created": int(made), "prompts": saved, "responses": added, **counts}


def _scales_of(slug: str) -> Scales:
    study = Study.objects.filter(slug=slug).first()
    return {c.key: (c.minimum, c.maximum) for c in study.criteria.all()} if study else {}


def _prompt_ids(slug: str) -> set[str]:
    return set(Prompt.objects.filter(study__slug=slug).values_list("external_id", flat=True))


def _method(judgements: Sequence[NewJudgement]) -> str:
    sizes = Counter(len(judgement.shown) for judgement in judgements)
    most = sizes.most_common(1)[0][0] if sizes else 2
    return Method.SCORE if most == 1 else Method.COMPARE if most == 2 else Method.RANK


def _criterion(key: str, scale: tuple[float, float]) -> dict[str, Any]:
    return {"key": key, "minimum": scale[0], "maximum": scale[1]}


def _save_responses(study: Study, responses: Mapping[str, NewResponse]) -> tuple[dict[str, int], int]:
    """Ids in the file to ids in the database, and how many responses were new."""
    prompts = dict(study.prompts.values_list("external_id", "pk"))
    there = {
        (prompt, external_id): (pk, text)
        for pk, prompt, external_id, text in Response.objects.filter(prompt__study=study).values_list(
            "pk", "prompt", "external_id", "text"
        )
    }
    new = []
    for response in responses.values():
        key = (prompts[response.prompt_id], response.external_id)
        if key not in there:
            new.append(Response(prompt_id=key[0], external_id=key[1], text=response.text, author_name=response.author))
        elif there[key][1] != response.text:
            response.row.fail("text", f"the study has response {response.external_id!r} with another text")
    Response.objects.bulk_create(new, batch_size=BATCH)
    ids = {response.external_id: response.pk for response in new}
    ids.update({external_id: pk for (_, external_id), (pk, _) in there.items()})
    return ids, len(new)


def _save_judgements(
    study: Study, judgements: Sequence[NewJudgement], ids: Mapping[str, int], report: Report
) -> dict[str, int]:
    raters = _raters(study, {judgement.rater for judgement in judgements})
    tasks = _tasks(study, judgements, ids)
    there = _answers_there(study)
    rows = []
    for judgement in judgements:
        task, rater = tasks[_key(judgement, ids)], raters[judgement.rater]
        before = there.get((task, rater))
        if before is None:
            rows.append(_row(judgement, task, rater, ids))
        elif before != _told(judgement, ids):
            judgement.row.fail("rater", f"the study has another judgement of {judgement.rater!r} on these responses")
    for start in range(0, len(rows), BATCH):
        copy_in(rows[start : start + BATCH])
        report(min(start + BATCH, len(rows)), len(rows))
    count_slots(Counter(row.task_id for row in rows))
    return {"raters": len(raters), "judgements": len(rows), "judgements_already_there": len(judgements) - len(rows)}


def _key(judgement: NewJudgement, ids: Mapping[str, int]) -> str:
    return task_key(ids[entry] for entry in judgement.shown)


def _raters(study: Study, names: Iterable[str]) -> dict[str, int]:
    Membership.objects.bulk_create(
        [Membership(study=study, external_id=name, kind=Kind.IMPORTED) for name in sorted(names)],
        ignore_conflicts=True,
    )
    known = study.memberships.filter(kind=Kind.IMPORTED)
    return {str(name): pk for name, pk in known.values_list("external_id", "pk")}


def _tasks(study: Study, judgements: Sequence[NewJudgement], ids: Mapping[str, int]) -> dict[str, int]:
    """Task key to task id, one task for each set of responses; new ones are full from the start."""
    prompts = dict(study.prompts.values_list("external_id", "pk"))
    wanted = {_key(judgement, ids): judgement for judgement in judgements}
    tasks = dict(study.tasks.values_list("key", "pk"))
    new = [key for key in wanted if key not in tasks]
    made = Task.objects.bulk_create(
        [Task(study=study, prompt_id=prompts[wanted[key].prompt_id], key=key, replication=0) for key in new],
        batch_size=BATCH,
    )
    TaskResponse.objects.bulk_create(
        [
            TaskResponse(task=task, response_id=ids[entry], position=position)
            for task in made
            for position, entry in enumerate(wanted[task.key].shown)
        ],
        batch_size=BATCH,
    )
    return {**tasks, **{task.key: task.pk for task in made}}


def _row(judgement: NewJudgement, task: int, rater: int, ids: Mapping[str, int]) -> Judgement:
    return Judgement(
        task_id=task,
        rater_id=rater,
        shown=[ids[entry] for entry in judgement.shown],
        ranks=list(judgement.ranks) if judgement.ranks else None,
        scores=dict(judgement.scores),
        strength=judgement.strength,
        unacceptable=list(judgement.unacceptable),
        comment=judgement.comment,
        seconds=judgement.seconds,
        made_at=judgement.at,
    )


Told = tuple[dict[int, int] | None, dict[str, dict[int, float]]]


def _told(judgement: NewJudgement, ids: Mapping[str, int]) -> Told:
    ranks, scores = judgement.answer
    by_id = {key: {ids[e]: value for e, value in values.items()} for key, values in scores.items()}
    return {ids[e]: rank for e, rank in ranks.items()} if ranks else None, by_id


def _answers_there(study: Study) -> dict[tuple[int, int], Told]:
    """What the imported raters have said already, by task and rater."""
    there: dict[tuple[int, int], Told] = {}
    live = Judgement.objects.live().of_study(study).filter(rater__kind=Kind.IMPORTED)
    for task, rater, shown, ranks, scores in live.values_list("task", "rater", "shown", "ranks", "scores").iterator():
        by_id = {key: dict(zip(shown, values, strict=True)) for key, values in scores.items()}
        there[task, rater] = (dict(zip(shown, ranks, strict=True)) if ranks else None, by_id)
    return there


def count_slots(added: Counter[int]) -> None:
    """An imported judgement brings its own slot: tasks of the study stay as open to people as they were."""
    by_count: dict[int, list[int]] = defaultdict(list)
    for task, count in added.items():
        by_count[count].append(task)
    for count, tasks in by_count.items():
        Task.objects.filter(pk__in=tasks).update(
            replication=F("replication") + count, slots_taken=F("slots_taken") + count
        )
