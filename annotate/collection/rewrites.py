"""A rater's better version: a response of its own, which the rater prefers to the one it was made from.

The preference is a judgement of part `rewrite`, on a task that is handed out to nobody. So it reaches exports,
snapshots and training like any other, and only figures about what raters were asked for leave it out.
"""

import random

from annotate.collection.keys import task_key
from annotate.models.choices import Part, Purpose
from annotate.models.judgements import Judgement
from annotate.models.prompts import Response
from annotate.models.tasks import Task, TaskResponse

AUTHOR = "rewrite"


def keep_rewrite(judgement: Judgement, text: str) -> Judgement | None:
    """Store what the rater wrote with this answer, and that it beats the best response, the first shown of equals.

    None when it says the same as that response, when the rater has written it before, or when the answer is no vote
    that counts. Works within the caller's transaction.
    """
    text = _plain(text)
    if not text or judgement.part != Part.VOTE or judgement.task.purpose != Purpose.COLLECT:
        return None
    original = Response.objects.get(pk=judgement.shown[_best(judgement)])
    if text == _plain(original.text):
        return None
    own = _response(judgement, original, text)
    task = _task(judgement.task, own, original)
    if Judgement.objects.live().filter(task=task, rater=judgement.rater_id, part=Part.REWRITE).exists():
        return None
    shown = random.sample([own.pk, original.pk], 2)
    return Judgement.objects.create(
        task=task,
        rater_id=judgement.rater_id,
        part=Part.REWRITE,
        instructions_version=judgement.instructions_version,
        shown=shown,
        order_known=False,  # nobody saw the two together
        ranks=[1 if pk == own.pk else 2 for pk in shown],
        unacceptable=[False, False],
        source=judgement,
        made_at=judgement.made_at,
    )


def drop_rewrites(judgement: Judgement) -> None:
    """What was written with an answer that counts no more."""
    judgement.rewrites.filter(live=True).update(live=False)


def rewrite_of(judgement: Judgement) -> str:
    """The text that was written with an answer; empty without one."""
    made = judgement.rewrites.filter(live=True).first()
    return Response.objects.get(pk=made.shown[_best(made)]).text if made else ""


def _best(judgement: Judgement) -> int:
    """The place of the best response, the first of equals; a task that is only scored has one response."""
    return judgement.ranks.index(1) if judgement.ranks else 0


def _plain(text: str) -> str:
    """As it is stored: browsers end lines in their own way, and PostgreSQL stores no NUL character."""
    return text.replace("\0", "").replace("\r\n", "\n").strip()


def _response(judgement: Judgement, original: Response, text: str) -> Response:
    """The prompt's response with this text: what two raters write alike is one response."""
    same = Response.objects.filter(prompt=original.prompt_id, text=text).order_by("pk").first()
    return same or Response.objects.create(
        prompt_id=original.prompt_id, external_id=f"rewrite-{judgement.pk}", text=text, author_name=AUTHOR
    )


def _task(of: Task, own: Response, original: Response) -> Task:
    task, made = Task.objects.get_or_create(
        study=of.study,
        key=task_key([own.pk, original.pk]),
        defaults={"prompt_id": of.prompt_id, "replication": 0, "ad_hoc": True},
    )
    if made:
        TaskResponse.objects.bulk_create(
            TaskResponse(task=task, response=response, position=place) for place, response in enumerate((original, own))
        )
    return task
