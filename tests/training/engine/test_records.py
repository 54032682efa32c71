import dataclasses
from itertools import product

import pytest
import torch

from core.records import Record, pairs_of
from training.engine.data.observations import groups_of, items_of


def record(ranks=None, ids=("1", "2"), rater="r1", **changes):
    return Record("p", "g", "prompt", tuple(ids), tuple(f"text {i}" for i in ids), ranks, rater, **changes)


def test_votes_on_a_pair_are_gathered_whatever_the_order_shown():
    (pair,) = pairs_of([record((1, 2)), record((2, 1), ids=("2", "1"), rater="r2"), record((1, 1), rater="r3")])
    assert (pair.wins_a, pair.wins_b, pair.ties, pair.margin) == (2, 0, 1, 2)
    assert pair.share_a == pytest.approx(2.5 / 3)
    assert [vote.a_first for vote in pair.votes] == [True, False, True]


def test_a_ranking_is_a_vote_on_each_of_its_pairs_of_the_weight_two_over_k():
    observations = [record((1, 2, 2), ids=("1", "2", "3"), rater=rater) for rater in ("r1", "r2")]
    for pairs in (pairs_of(observations), pairs_of(observations, raters=False)):
        assert {(p.a_id, p.b_id): (p.wins_a, p.wins_b, p.ties, p.margin) for p in pairs} == {
            ("1", "2"): (2, 0, 0, 2),
            ("1", "3"): (2, 0, 0, 2),
            ("2", "3"): (0, 0, 2, 0),
        }
        assert [p.votes_weight for p in pairs] == [pytest.approx(4 / 3)] * 3
        assert [p.share_a for p in pairs] == [1, 1, 0.5]


def test_scores_are_compared_by_their_mean():
    (pair,) = pairs_of([record(scores={"clear": (0.2, 0.8), "kind": (0.5, 0.5)})])
    assert pair.margin == -1


def test_single_scores_of_one_rater_are_compared_with_each_other_and_with_nobody_elses():
    alone = [record(ids=(i,), scores={"clear": (s,)}, rater=r) for i, s, r in (("1", 0.9, "r1"), ("2", 0.1, "r1"))]
    (pair,) = pairs_of(alone)
    assert pair.margin == 1
    assert pairs_of([alone[0], dataclasses.replace(alone[1], rater="r2")]) == []


def test_weights_count():
    (pair,) = pairs_of([record((1, 2), weight=0.25)])
    assert (pair.wins_a, pair.votes_weight) == (0.25, 0.25)


def test_without_raters_what_was_said_alike_is_one_vote_and_one_ranking_of_the_same_likelihood():
    from training.engine.models.reward import Settings
    from training.engine.objectives.scores import ScoreOptions
    from training.engine.objectives.votes import VoteOptions
    from training.engine.preference.likelihood import Likelihood

    shown = [("1", "2", "3"), ("3", "1", "2")]
    observations = [
        *(record((1, 2), rater=f"r{n}", strength=n % 2) for n in range(40)),
        *(record((1, 1), ids=("2", "1"), rater=f"r{n}") for n in range(9)),
        *(record(r, ids=ids, rater=f"r{n}") for n, ids, r in product(range(20), shown, [(1, 2, 2), (3, 1, 2)])),
    ]
    separate, together = groups_of(observations), groups_of(iter(observations), raters=False)
    assert [len(group.rankings) for group in separate + together] == [4, 4]
    assert sum(len(pair.votes) for pair in separate[0].pairs) == 40 + 9 + 3 * 80
    assert sum(len(pair.votes) for pair in together[0].pairs) <= 2 + 1 + 3 * 6
    assert {vote.rater for pair in together[0].pairs for vote in pair.votes} == {""}
    rewards = torch.tensor([[[0.3]], [[-1.0]], [[0.5]]])
    for options in (
        VoteOptions(position=True, margin=0.5),
        VoteOptions(whole_rankings=True),
        VoteOptions(majority=True),
    ):
        losses = []
        for groups in (separate, together):
            likelihood = Likelihood(Settings(max_length=8), groups, options, ScoreOptions())
            items = items_of(groups)
            losses.append(likelihood(rewards, likelihood.prepare(groups, items)).item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
