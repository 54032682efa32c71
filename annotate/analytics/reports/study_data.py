"""What the pages about quality read of a study: votes as columns, lengths, groups. One read for all statistics."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from django.db.models import F
from django.utils.translation import gettext as _

from annotate.analytics.agreement.labels import Checked, Labelled, checked, labelled
from annotate.analytics.authors import lengths_of
from annotate.analytics.bias.answer_patterns import Given, given
from annotate.analytics.bias.checks import order_was_random
from annotate.analytics.columns import comparisons_of, given_of, ranks_of, scores_by
from annotate.analytics.comparisons import Answers, Comparisons, Flags, Floats, Ints, compared
from annotate.analytics.reports.second_opinion import Opinion, opinion_of
from annotate.models.choices import AssignmentState, Kind, Part, Purpose
from annotate.models.judgement_queries import JudgementQuerySet
from annotate.models.judgements import Judgement
from annotate.models.selection import KINDS, JudgementSelection
from annotate.models.studies import Criterion, Study
from annotate.models.tasks import Assignment, TaskResponse

GOLD = 2000
WEEK = 7 * 24 * 3600
# 1 January 1970 was a Thursday; weeks begin on Mondays.
MONDAY = 3 * 24 * 3600


@dataclass(frozen=True)
class Skipping:
    """Assignments that ended (A,): skipped or answered, the characters on the screen, the task."""

    skipped: Flags
    length: Floats
    task: Ints


class StudyData:
    """The judgements of a study that the selection asks for; people's votes unless asked otherwise."""

    def __init__(self, study: Study, selection: JudgementSelection | None = None) -> None:
        self.study, self.selection = study, selection or JudgementSelection()

    @property
    def votes(self) -> JudgementQuerySet:
        return Judgement.objects.of_study(self.study).selected(self.selection)

    @cached_property
    def criteria(self) -> list[Criterion]:
        return list(self.study.criteria.all())

    @cached_property
    def ranked(self) -> Comparisons:
        """The comparisons that ranks make."""
        return comparisons_of(self.votes)

    @cached_property
    def comparisons(self) -> Comparisons:
        """The comparisons of ranks; in a study that only scores, those that the first criterion's scores imply."""
        if len(self.ranked) or not self.criteria:
            return self.ranked
        return compared(self.scores(self.criteria[0].key))

    @cached_property
    def source(self) -> str:
        """Which data all figures of the votes come from, in words."""
        words = self.selection.source
        if len(self.ranked) or not self.criteria:
            return words
        implied = _("choices are those that the scores by %(name)s imply") % {"name": self.criteria[0].name}
        return f"{words}; {implied}"

    @cached_property
    def ranks(self) -> Answers:
        return ranks_of(self.votes)

    @property
    def judgements(self) -> int:
        """How many judgements the comparisons come from."""
        if len(self.ranked):
            return len(np.unique(self.ranked.judgement))
        scored = [answers.judgement for answers in self._scores.values()]
        return len(np.unique(np.concatenate(scored))) if scored else 0

    @cached_property
    def graded(self) -> Answers | None:
        """What of a study has an order beyond pairs: its ranks; where it only scores, the scores by its first
        criterion; None where two responses are compared at a time."""
        if (self.ranked.size > 2).any():
            return self.ranks
        return self.scores(self.criteria[0].key) if self.criteria and not len(self.ranked) else None

    def scores(self, criterion: str) -> Answers:
        return self._scores[criterion]

    @cached_property
    def scored_together(self) -> bool:
        """Whether scores were given to three responses or more at once, so that they order them."""
        return any((answers.size > 2).any() for answers in self._scores.values())

    @cached_property
    def _scores(self) -> dict[str, Answers]:
        return scores_by(self.votes, [criterion.key for criterion in self.criteria])

    @cached_property
    def labelled(self) -> Labelled:
        return labelled(self.votes)

    @cached_property
    def checked_labels(self) -> Checked:
        return checked(self.gold_answers)

    @property
    def gold_answers(self) -> JudgementQuerySet:
        """The newest answers to tasks that check raters, at most GOLD: each is an object of its own to grade."""
        made = Judgement.objects.first_answers(Purpose.GOLD).of_study(self.study).by(self.selection.who)
        return made.order_by("-id")[:GOLD]

    @cached_property
    def opinion(self) -> Opinion:
        return opinion_of(self.study)

    @cached_property
    def adjudications(self) -> Comparisons:
        live = Judgement.objects.live().of_study(self.study).filter(part=Part.ADJUDICATION)
        if len(self.ranked) or not self.criteria:
            return comparisons_of(live)
        return compared(scores_by(live, [self.criteria[0].key])[self.criteria[0].key])

    @cached_property
    def _lengths(self) -> tuple[Ints, Floats]:
        return lengths_of(self.study)

    def length_of(self, responses: Ints) -> Floats:
        ids, lengths = self._lengths
        return lengths[np.searchsorted(ids, responses)] if len(ids) else np.zeros(len(responses))

    @cached_property
    def given(self) -> Given:
        """Every judgement, those that compare nothing included."""
        key = self.criteria[0].key if self.criteria else ""
        _judgement, rater, response, place, at, seconds, value, known = given_of(self.votes, key)
        return given(rater, place, at, seconds, value, self.length_of(response), known)

    @cached_property
    def longer_first(self) -> Floats:
        """(C,): 1 where the response shown first is the longer one, 0 where the other is, NaN where they are equal."""
        first, second = self.length_of(self.comparisons.first), self.length_of(self.comparisons.second)
        return np.where(first == second, np.nan, (first > second) * 1.0)

    @cached_property
    def random_order(self) -> Flags:
        """(C,): whether the order on the screen was drawn by lot."""
        imported = self.study.memberships.filter(kind=Kind.IMPORTED).values_list("pk", flat=True)
        here = ~np.isin(self.comparisons.rater, np.array(list(imported), np.int64))
        return order_was_random(self.comparisons, here)

    @cached_property
    def turn(self) -> Ints:
        """(C,): the number of the round of each comparison's task, 0 for none."""
        rounds = dict(self.study.tasks.filter(round__isnull=False).values_list("pk", "round__number"))
        if not rounds:
            return np.zeros(len(self.comparisons), np.int64)
        return np.array([rounds.get(task, 0) for task in self.comparisons.task.tolist()], np.int64)

    @cached_property
    def new_wins(self) -> Floats:
        """(C,): 1, 0.5 or 0 for the response of the round's own policy; 0.5 where both or none are its."""
        written = TaskResponse.objects.filter(task__study=self.study, response__author_model=F("task__round__policy"))
        own = set(written.values_list("response", flat=True))
        firsts = np.array([pk in own for pk in self.comparisons.first.tolist()], bool)
        seconds = np.array([pk in own for pk in self.comparisons.second.tolist()], bool)
        outcome = np.where(firsts, self.comparisons.outcome, 1 - self.comparisons.outcome)
        return np.where(firsts == seconds, 0.5, outcome)

    @cached_property
    def prompt_group(self) -> tuple[list[str], dict[int, int]]:
        """The names of the prompts' groups, and prompt to number; prompts without a group are left out."""
        rows = list(self.study.prompts.exclude(group="").values_list("pk", "group"))
        names = sorted({group for _pk, group in rows})
        number = {name: k for k, name in enumerate(names)}
        return names, {pk: number[group] for pk, group in rows}

    @cached_property
    def audience(self) -> tuple[list[str], dict[int, list[int]]]:
        """The tags that prompts ask of their raters (languages among them), and tag number to prompts."""
        rows = list(self.study.prompts.exclude(audience=[]).values_list("pk", "audience"))
        names = sorted({tag for _pk, tags in rows for tag in tags})
        return names, {k: [pk for pk, tags in rows if name in tags] for k, name in enumerate(names)}

    @cached_property
    def week(self) -> Ints:
        """(C,): weeks since 1970, by when the judgement was made."""
        return ((self.comparisons.at + MONDAY) // WEEK).astype(np.int64)

    @cached_property
    def skipping(self) -> Skipping:
        ended = (AssignmentState.SKIPPED, AssignmentState.JUDGED)
        rows = (
            Assignment.objects.filter(task__study=self.study, task__purpose=Purpose.COLLECT, state__in=ended)
            .filter(rater__kind__in=KINDS[self.selection.who])
            .exclude(skip_reason__startswith="flag: ")
            .order_by()
            .values_list("task", "state", "shown")
        )
        task, state, shown = zip(*rows, strict=True) if rows else ((), (), ())
        sizes = np.array([len(of) for of in shown], np.int64)
        flat = np.array([pk for of in shown for pk in of], np.int64)
        where = np.repeat(np.arange(len(sizes)), sizes)
        length = np.bincount(where, self.length_of(flat), len(sizes)) if len(sizes) else np.zeros(0)
        return Skipping(np.array([s == AssignmentState.SKIPPED for s in state], bool), length, np.array(task, np.int64))
