"""Making and correcting judgements."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.collection.judgements import Answer, _checked_ranks, correct, submit
from annotate.collection.leases import lease_next
from annotate.models.judgements import Judgement
from core.errors import PalateError
from tests.factories import CriterionFactory, MembershipFactory, StudyFactory, TaskFactory


def leased(*, k=2, criteria=()):
    study = StudyFactory()
    for key in criteria:
        CriterionFactory(study=study, key=key, name=key)
    TaskFactory(study=study, k=k)
    return lease_next(rater=MembershipFactory(study=study))


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=9))
def test_ranks_become_dense_and_keep_their_order(given_ranks):
    ranks = _checked_ranks(given_ranks, len(given_ranks))
    assert set(ranks) == set(range(1, len(set(given_ranks)) + 1))
    for i, a in enumerate(given_ranks):
        for j, b in enumerate(given_ranks):
            assert (a < b, a == b) == (ranks[i] < ranks[j], ranks[i] == ranks[j])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_dense_ranks_stay_as_they_are(given_ranks):
    once = _checked_ranks(given_ranks, len(given_ranks))
    assert _checked_ranks(once, len(once)) == once


@pytest.mark.django_db
class TestSubmit:
    @pytest.mark.parametrize(
        ("k", "criteria", "answer"),
        [
            (2, [], Answer()),
            (2, ["clear"], Answer(scores={"clear": [1, 2]})),
            (2, [], Answer(ranks=[1])),
            (2, [], Answer(ranks=[1, 2], strength=4)),
            (3, [], Answer(ranks=[1, 2, 3], strength=1)),
            (2, [], Answer(ranks=[1, 2], unacceptable=[True])),
            (2, [], Answer(ranks=[1, 2], comment="x" * 10_001)),
            (2, [], Answer(ranks=[1, 2], scores={"unknown": [1, 2]})),
            (1, ["clear"], Answer(scores={"clear": [6]})),
            (1, ["clear"], Answer(scores={"clear": [0.5]})),
            (1, ["clear"], Answer(scores={"clear": [math.nan]})),
            (1, ["clear"], Answer(scores={"clear": [1, 2]})),
            (1, ["clear", "kind"], Answer(scores={"clear": [1]})),
        ],
    )
    def test_an_answer_that_does_not_fit_is_refused_and_nothing_is_written(self, k, criteria, answer):
        assignment = leased(k=k, criteria=criteria)
        with pytest.raises(PalateError):
            submit(assignment=assignment, answer=answer)
        assert not Judgement.objects.exists()
        assignment.refresh_from_db()
        assert assignment.state == "leased"

    def test_a_tie_has_no_strength(self):
        assert submit(assignment=leased(), answer=Answer(ranks=[1, 1], strength=3)).strength is None

    def test_gaps_in_the_ranks_are_closed(self):
        made = submit(assignment=leased(k=3), answer=Answer(ranks=[7, 3, 7]))
        made.refresh_from_db()
        assert made.ranks == [2, 1, 2]

    @pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
    def test_seconds_that_make_no_sense_are_left_out(self, seconds):
        assert submit(assignment=leased(), answer=Answer(ranks=[1, 2], seconds=seconds)).seconds is None

    def test_a_nul_character_in_a_comment_does_not_break_it(self):
        assert submit(assignment=leased(), answer=Answer(ranks=[1, 2], comment="a\0b")).comment == "ab"

    def test_a_second_submit_returns_the_first_judgement(self):
        assignment = leased()
        first = submit(assignment=assignment, answer=Answer(ranks=[1, 2]))
        assert submit(assignment=assignment, answer=Answer(ranks=[2, 1])) == first
        assert Judgement.objects.get().ranks == [1, 2]


@pytest.mark.django_db
class TestCorrect:
    def test_the_old_judgement_stays_and_the_new_one_counts(self):
        old = submit(assignment=leased(), answer=Answer(ranks=[1, 2], strength=1))
        new = correct(judgement=old, answer=Answer(ranks=[2, 1], strength=3))
        assert list(Judgement.objects.live()) == [new]
        old.refresh_from_db()
        assert (old.live, old.ranks, new.supersedes) == (False, [1, 2], old)
        assert new.shown == old.shown
        assert new.task.slots_taken == 1

    def test_a_superseded_judgement_cannot_be_corrected_again(self):
        old = submit(assignment=leased(), answer=Answer(ranks=[1, 2]))
        correct(judgement=old, answer=Answer(ranks=[2, 1]))
        with pytest.raises(PalateError):
            correct(judgement=old, answer=Answer(ranks=[1, 1]))

    def test_an_answer_that_does_not_fit_leaves_the_old_one_live(self):
        old = submit(assignment=leased(), answer=Answer(ranks=[1, 2]))
        with pytest.raises(PalateError):
            correct(judgement=old, answer=Answer(ranks=[1]))
        assert list(Judgement.objects.live()) == [old]
