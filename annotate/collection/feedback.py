"""What raters say about tasks besides their answers: why they skipped one, what they flagged, what they commented."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from annotate.models.choices import AssignmentState
from annotate.models.judgements import Judgement
from annotate.models.review import Flag, FlagKind
from annotate.models.studies import Study
from annotate.models.tasks import Assignment

FLAGGED = "flag: "
# Common reasons to skip a task, by the key that is stored.
SKIP_REASONS = {
    "unclear": _("The prompt is unclear"),
    "knowledge": _("I do not know the subject"),
    "language": _("I do not read this language"),
    "upsetting": _("I would rather not read this"),
    "other": _("Something else"),
}


@dataclass(frozen=True)
class Feedback:
    """kind: skip, flag or comment. rater: a membership's number, None where Palate flagged the task itself. reason: the
    key of a common reason, or a flag's kind. text: the rater's words. resolved: whether a manager decided on a flag."""

    kind: str
    at: datetime
    task: int
    prompt_id: str
    group: str
    split: str
    prompt: str
    rater: int | None
    rater_kind: str | None
    reason: str
    text: str
    resolved: bool | None = None

    @property
    def reason_label(self) -> str:
        """The reason in words; empty where the rater's own words are all there is."""
        labels = {**SKIP_REASONS, **dict(FlagKind.choices), "other": ""}
        return str(labels.get(self.reason, ""))


def feedback(study: Study, split: str = "all") -> Iterator[Feedback]:
    """All feedback on the tasks of a split, the newest first, read as a stream."""
    streams = (_skips(study, split), _flags(study, split), _comments(study, split))
    return heapq.merge(*streams, key=attrgetter("at"), reverse=True)


def newest(study: Study, count: int) -> list[Feedback]:
    return list(islice(feedback(study), count))


# Fields of Feedback, and where a row on a task has them.
PLACE = {
    "task": "task",
    "prompt_id": "task__prompt__external_id",
    "group": "task__prompt__group",
    "split": "task__prompt__split",
    "prompt": "task__prompt__text",
    "rater": "rater",
    "rater_kind": "rater__kind",
}


def _skips(study: Study, split: str) -> Iterator[Feedback]:
    skipped = Assignment.objects.filter(task__study=study, state=AssignmentState.SKIPPED)
    rows = skipped.exclude(skip_reason__startswith=FLAGGED).annotate(at=Coalesce("ended_at", "leased_at"))
    for place, stored in _stream(rows, split, "at", "skip_reason"):
        reason, _colon, text = stored.partition(": ")
        known = reason in SKIP_REASONS
        yield Feedback(kind="skip", **place, reason=reason if known else "other", text=text if known else stored)


def _flags(study: Study, split: str) -> Iterator[Feedback]:
    rows = Flag.objects.filter(task__study=study)
    for place, kind, details, resolved in _stream(rows, split, "made_at", "kind", "details", "resolved_at"):
        yield Feedback(kind="flag", **place, reason=kind, text=details, resolved=resolved is not None)


def _comments(study: Study, split: str) -> Iterator[Feedback]:
    rows = Judgement.objects.live().of_study(study).exclude(comment="")
    for place, comment in _stream(rows, split, "made_at", "comment"):
        yield Feedback(kind="comment", **place, reason="", text=comment)


def _stream(rows: QuerySet[Any], split: str, at: str, *fields: str) -> Iterator[tuple[Any, ...]]:
    """The rows, the newest first: when and where as fields of Feedback, then the wanted fields."""
    chosen = rows if split == "all" else rows.filter(task__prompt__split=split)
    for row in chosen.order_by(f"-{at}", "-pk").values_list(at, *PLACE.values(), *fields).iterator():
        place = dict(zip(("at", *PLACE), row, strict=False))
        yield (place, *row[len(place) :])
