"""Which judgements an import finds already: by their id in the source, or by all that the source says of them."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid5

from django.db.models import Q
from django.utils.translation import gettext as _

from annotate.exchange.importers.import_records import Bundle, ImportedJudgement
from annotate.models.choices import Part
from annotate.models.judgements import Judgement
from annotate.models.studies import Study

NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
IMPORT, STUDY = "in this import", "in the study"
Answer = tuple[dict[int, int] | None, dict[str, dict[int, float]], str]  # ranks, scores, label by response
Answered = tuple[int, Answer]  # the task, and the answer


class KnownJudgements:
    """The judgements on some tasks, so that nothing is stored twice and no id stands for two of them."""

    def __init__(self, study: Study, tasks: set[int], names: set[str]) -> None:
        """names: ids of judgements in their source, which may stand in the study on other tasks."""
        # (rater, submission) to where it was seen first, and what it said of which task
        self.submissions: dict[tuple[int, UUID], tuple[str, Answered]] = {}
        self.votes: dict[tuple[int, int], Answer] = {}
        fields = ("rater", "task", "part", "live", "submission", "shown", "ranks", "scores", "label")
        there = Judgement.objects.filter(rater__study=study, rater__user=None)
        submissions = [submission_of(name) for name in names if name]
        for rater, task, part, live, submission, *answer in (
            there.filter(Q(task__in=tasks) | Q(submission__in=submissions)).values_list(*fields).iterator()
        ):
            if submission:
                self.submissions[rater, submission] = (STUDY, (task, _answer(*answer)))
            if live and part == Part.VOTE:
                self.votes[task, rater] = _answer(*answer)

    def contradicts(self, judgement: Judgement) -> bool:
        """Whether the rater has voted on these responses, and said something else."""
        before = self.votes.get((judgement.task_id, judgement.rater_id))
        return before is not None and before != _answered(judgement)[1]

    def known(self, judgement: Judgement, imported: ImportedJudgement, bundle: Bundle) -> str:
        """Return where the judgement is stored already, "" if it is not. Raises PalateError if its id names another.

        One without an id in its source is known by all its fields there.
        """
        answered = _answered(judgement)
        details = (answered, imported.at, imported.seconds, imported.comment, imported.strength)
        source = imported.external_id or repr(details)
        judgement.submission = uuid5(NAMESPACE, source)
        key = (judgement.rater_id, judgement.submission)
        where, before = self.submissions.setdefault(key, ("", answered))
        if before != answered:
            row = bundle.row
            error = _(
                "the id %(name)r stands in the study already with another judgement; where a field numbers something "
                "else than judgements, leave it out with --ignore"
            )
            if where == IMPORT:
                error = _(
                    "the id %(name)r stands in this import already with another judgement; where a field numbers "
                    "something else than judgements, leave it out with --ignore"
                )
            row.fail("judgement_id", error, name=imported.external_id)
        self.submissions[key] = (where or IMPORT, answered)
        return where

    def add(self, judgement: Judgement) -> bool:
        """Make the judgement a repeat, and return True, where the rater has a vote on these responses already."""
        key = (judgement.task_id, judgement.rater_id)
        if not judgement.live or judgement.part != Part.VOTE:
            return False
        if key in self.votes and not judgement.supersedes_id:
            judgement.part = Part.REPEAT
            return True
        self.votes[key] = _answered(judgement)[1]
        return False


def _answered(judgement: Judgement) -> Answered:
    return judgement.task_id, _answer(judgement.shown, judgement.ranks, judgement.scores, judgement.label)


def _answer(
    shown: Sequence[int], ranks: Sequence[int] | None, scores: Mapping[str, Sequence[float]], label: str
) -> Answer:
    by_key = {key: dict(zip(shown, values, strict=True)) for key, values in scores.items()}
    return (dict(zip(shown, ranks, strict=True)) if ranks else None, by_key, label)


def submission_of(external_id: str) -> UUID | None:
    return uuid5(NAMESPACE, external_id) if external_id else None
