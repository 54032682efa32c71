"""What an export does with ties, with pairs that nobody finds acceptable, and with pairs that raters disagree about."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from annotate.models.judgement_queries import JudgementQuerySet
from annotate.models.judgements import Judgement
from annotate.models.studies import Study
from core.errors import PalateError
from core.records import Pair, Record, pairs_of

CHOICES = {
    "ties": ("drop", "keep"),
    "unacceptable": ("drop", "keep"),
    "raters": ("all", "people"),
    "tasks": ("all", "random"),
}


@dataclass(frozen=True)
class Policy:
    """ties: pairs with as many votes for as against are left out, or kept with margin 0.
    unacceptable: votes of a rater who finds both responses of a pair unacceptable do not count, or do.
    min_agreement: the least share of the votes that the winner must have (a tie counts half), 0 to 1.
    min_raters: the least number of raters a pair. raters: all, or people (without simulated raters).
    tasks: all, or random (those that chance drew in next_tasks).
    left_out: filled while the export runs: why, and how many pairs.
    """

    ties: str = "drop"
    unacceptable: str = "drop"
    min_agreement: float = 0.0
    min_raters: int = 1
    raters: str = "all"
    tasks: str = "all"
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise PalateError(f"{name}: {getattr(self, name)!r}; expected one of {', '.join(choices)}")
        if not 0 <= self.min_agreement <= 1:
            raise PalateError(f"min_agreement: {self.min_agreement:g}; expected a share from 0 to 1")
        if self.min_raters < 1:
            raise PalateError(f"min_raters: {self.min_raters}; expected 1 or more")

    def to_json(self) -> dict[str, str | int | float]:
        """The policy as a manifest tells it."""
        names = ("ties", "unacceptable", "min_agreement", "min_raters", "raters", "tasks")
        return {name: getattr(self, name) for name in names}

    def counted(self, study: Study) -> JudgementQuerySet:
        """The judgements that count."""
        counted = Judgement.objects.counted().of_study(study)
        counted = counted.drawn_at_random() if self.tasks == "random" else counted
        return counted.by_people() if self.raters == "people" else counted

    def pairs(self, records: Iterable[Record]) -> Iterator[Pair]:
        """The pairs that the records of one prompt compare and that the policy keeps."""
        records = list(records)
        neither = {
            (record.rater, response)
            for record in records
            for response, flag in zip(record.response_ids, record.unacceptable, strict=True)
            if flag and self.unacceptable == "drop"
        }
        for pair in pairs_of(records):
            pair.votes = [v for v in pair.votes if not {(v.rater, pair.a_id), (v.rater, pair.b_id)} <= neither]
            if why := self._why_not(pair):
                self.left_out[why] += 1
            else:
                yield pair

    def _why_not(self, pair: Pair) -> str:
        if not pair.votes:
            return "unacceptable"
        if len({vote.rater for vote in pair.votes}) < self.min_raters:
            return "few raters"
        if not pair.margin and self.ties == "drop":
            return "ties"
        return "low agreement" if max(pair.share_a, 1 - pair.share_a) < self.min_agreement else ""
