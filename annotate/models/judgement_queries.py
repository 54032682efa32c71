"""Reads of judgements, as words on the queryset."""

from typing import Any

from django.db import models

from annotate.models.choices import ChosenBy, Kind, Part, Purpose, RaterStatus
from annotate.models.selection import KINDS, JudgementSelection, Who


class JudgementQuerySet(models.QuerySet[Any]):
    def live(self) -> "JudgementQuerySet":
        return self.filter(live=True)

    def asked_for(self) -> "JudgementQuerySet":
        """Without rewrites: what tasks asked for."""
        return self.exclude(part=Part.REWRITE)

    def first_answers(self, purpose: str) -> "JudgementQuerySet":
        """What raters said first to tasks with a known answer; a correction changes no check."""
        return self.filter(part=Part.VOTE, task__purpose=purpose, supersedes=None)

    def counted(self) -> "JudgementQuerySet":
        """What models learn from: without repeats, tasks with a known answer, excluded raters and machines."""
        counted = self.live().without_machines().exclude(part=Part.REPEAT).filter(task__purpose=Purpose.COLLECT)
        return counted.exclude(rater__status=RaterStatus.EXCLUDED)

    def without_machines(self) -> "JudgementQuerySet":
        """What machine judges say is never mixed with what people, or simulated raters, do."""
        return self.exclude(rater__kind=Kind.MACHINE)

    def with_known_order(self) -> "JudgementQuerySet":
        """Comparisons and rankings whose responses the rater is known to have seen in the order of `shown`."""
        return self.filter(order_known=True, shown__len__gte=2)

    def of_study(self, study: Any) -> "JudgementQuerySet":
        return self.filter(task__study=study)

    def in_split(self, split: str) -> "JudgementQuerySet":
        """`split` is train, validation, test or all."""
        return self if split == "all" else self.filter(task__prompt__split=split)

    def drawn_at_random(self) -> "JudgementQuerySet":
        """On tasks of the random sample that next_tasks keeps of the study's own tasks."""
        return self.filter(task__chosen_by=ChosenBy.RANDOM, task__ad_hoc=False)

    def by_people(self) -> "JudgementQuerySet":
        """Without simulated raters and machines."""
        return self.by(Who.PEOPLE)

    def by(self, who: str) -> "JudgementQuerySet":
        """Of people, simulated raters, machine judges or all: a value of annotate.models.selection.Who."""
        return self.filter(rater__kind__in=KINDS[who])

    def selected(self, selection: JudgementSelection) -> "JudgementQuerySet":
        """What figures count: live judgements of the selection on tasks that collect votes, without excluded raters."""
        return self.of_raters(selection).filter(task__purpose=Purpose.COLLECT)

    def of_raters(self, selection: JudgementSelection) -> "JudgementQuerySet":
        """The same, on tasks with a known answer, too."""
        return self.live().filter(part=selection.part).exclude(rater__status=RaterStatus.EXCLUDED).by(selection.who)
