import pytest

from annotate.analytics.agreement.pairwise import agreement
from annotate.analytics.reports.progress import Counts, counts_of, judgements_by_day, progress_of_study
from annotate.analytics.reports.study_data import StudyData
from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.selection import JudgementSelection
from tests.factories import MembershipFactory, StudyFactory, TaskFactory
from training.rounds.win_rate import from_outcomes


def judge(study, best_wins):
    rater = MembershipFactory(study=study)
    assignment = lease_next(rater=rater)
    best = min(assignment.shown)
    submit(
        assignment=assignment, answer=Answer(ranks=[1 if (pk == best) == best_wins else 2 for pk in assignment.shown])
    )


def test_win_rate_by_hand():
    rate = from_outcomes([[1.0, 1.0], [0.5], [0.0]])
    assert (rate.value, rate.wins, rate.ties, rate.losses, rate.prompts) == (0.625, 2, 1, 1, 3)
    assert 0 <= rate.low <= 0.625 <= rate.high <= 1
    assert from_outcomes([]).value is None


def test_agreement_by_hand(db):
    study = StudyFactory(replication=3)
    TaskFactory(study=study)
    assert agreement(StudyData(study).comparisons).value is None
    for wins in (True, True, False):
        judge(study, wins)
    found = agreement(StudyData(study).comparisons)
    assert (found.value, found.n) == (pytest.approx(1 / 3), 3)


def test_progress_counts_what_is_made_and_what_is_wanted(db):
    study = StudyFactory(replication=2)
    TaskFactory.create_batch(3, study=study)
    judge(study, True)
    lease_next(rater=MembershipFactory(study=study))
    progress = progress_of_study(study)
    assert (progress.judgements, progress.needed, progress.tasks) == (1, 6, 3)
    assert counts_of(study, JudgementSelection()) == Counts(judgements=1, raters=1)
    assert (progress.simulated, progress.imported, progress.percent) == (0, 0, 17)
    days = judgements_by_day(study, JudgementSelection())
    assert (len(days), days[-1].judgements, sum(day.judgements for day in days)) == (30, 1, 1)
