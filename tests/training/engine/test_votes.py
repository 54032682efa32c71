"""The likelihood of votes and scores: invariances, and parameters that are recovered from votes drawn from them."""

import random

import pytest
import torch

from core.records import Record
from training.engine.data.observations import Item, groups_of, items_of, make_batches, places
from training.engine.objectives.scores import ScoreModel, ScoreOptions
from training.engine.objectives.votes import VoteModel, VoteOptions, raters_of

REWARDS = torch.tensor([0.4, -0.7, 1.1])


def judged(ranks, rater="r", shown=(0, 1, 2), prompt="p", **changes):
    return Record(
        prompt_id=prompt,
        group=prompt,
        prompt=prompt,
        response_ids=tuple(str(n) for n in shown),
        responses=tuple(f"text {n}" for n in shown),
        ranks=tuple(ranks),
        rater=rater,
        **changes,
    )


def loss(records, rewards=REWARDS, **options):
    groups = groups_of(records)
    model = VoteModel(VoteOptions(**options), raters_of(groups))
    place: dict[Item, int] = {("p", f"text {n}"): n for n in range(3)}
    votes = model.prepare(groups, place)
    return (model(rewards, votes) / votes.total).item()


PAIRS = [judged((1, 2), shown=(0, 1)), judged((2, 1), shown=(2, 0)), judged((1, 1), "s", shown=(1, 2))]


class TestInvariances:
    @pytest.mark.parametrize("ties", ["davidson", "half"])
    def test_the_order_in_which_responses_are_listed_changes_nothing(self, ties):
        turned = [judged(r.ranks[::-1], r.rater, tuple(int(i) for i in r.response_ids[::-1])) for r in PAIRS]
        assert loss(turned, ties=ties) == pytest.approx(loss(PAIRS, ties=ties), rel=1e-5)

    def test_a_vote_twice_is_a_vote_of_weight_two(self):
        twice = [*PAIRS, judged(PAIRS[0].ranks, shown=(0, 1))]
        heavier = [judged(PAIRS[0].ranks, shown=(0, 1), weight=2.0), *PAIRS[1:]]
        assert loss(twice) == pytest.approx(loss(heavier), rel=1e-6)

    @pytest.mark.parametrize("ties", ["davidson", "half"])
    def test_only_differences_of_rewards_count(self, ties):
        assert loss(PAIRS, REWARDS + 5, ties=ties) == pytest.approx(loss(PAIRS, ties=ties), rel=1e-4)

    def test_a_prompt_with_many_votes_weighs_no_more_than_another(self):
        few = groups_of([judged((1, 2), shown=(0, 1)), *[judged((1, 2), shown=(0, 1), prompt="q")] * 9])
        place = {(p, f"text {n}"): n for p in "pq" for n in range(3)}
        for by_prompt, expected in ((True, [1, 1]), (False, [1, 9])):
            votes = VoteModel(VoteOptions(by_prompt=by_prompt), []).prepare(few, place)
            # The first vote is of the first prompt, the other nine of the second.
            assert [votes.weight[0].item(), votes.weight[1:].sum().item()] == pytest.approx(expected)

    def test_a_whole_ranking_replaces_its_pairs_and_weighs_two_votes(self):
        groups = groups_of([judged((1, 2, 3)), judged((1, 2), shown=(0, 1))])
        place = places(items_of(groups))
        whole = VoteModel(VoteOptions(whole_rankings=True), []).prepare(groups, place)
        assert (len(whole.a), whole.total) == (1, 3)
        pairs = VoteModel(VoteOptions(), []).prepare(groups, place)
        assert (len(pairs.a), pairs.total) == (4, pytest.approx(3))

    def test_the_majority_is_one_vote_and_a_draw_none(self):
        groups = groups_of(
            [judged((1, 2), r, (0, 1)) for r in "ab"]
            + [judged((2, 1), "c", (0, 1)), judged((1, 2), "a", (1, 2)), judged((2, 1), "b", (1, 2))]
        )
        votes = VoteModel(VoteOptions(majority=True), []).prepare(groups, places(items_of(groups)))
        assert votes.outcome.tolist() == [1.0]

    def test_strength_asks_for_a_margin(self):
        slightly, much = (loss([judged((1, 2), shown=(0, 1), strength=s)], margin=0.5) for s in (1, 3))
        assert slightly == pytest.approx(loss([judged((1, 2), shown=(0, 1))]))
        assert much > slightly

    def test_an_unknown_reading_of_ties_is_an_error(self):
        with pytest.raises(ValueError, match="davidson, half, not 'coin'"):
            VoteModel(VoteOptions(ties="coin"), [])


class TestRecovery:
    def test_reliability_and_the_pull_of_the_first_place_are_found(self):
        """Good raters, one who answers at random, and everybody drawn to what is shown first."""
        rng, rewards = random.Random(0), torch.linspace(-2, 2, 12)
        records = []
        for n in range(6000):
            rater = f"r{n % 6}"
            i, j = rng.sample(range(12), 2)
            p = 1 / (1 + torch.exp(-(rewards[i] - rewards[j] + 0.5))).item()
            p = 0.5 if rater == "r0" else 0.95 * p + 0.05 * (1 - p)
            first = rng.random() < p
            records.append(judged((1, 2) if first else (2, 1), rater, (i, j)))
        groups = groups_of(records)
        model = VoteModel(VoteOptions(ties="half", reliability=True, position=True), raters_of(groups))
        votes = model.prepare(groups, {("p", f"text {n}"): n for n in range(12)})
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            total = model(rewards, votes) + model.prior()
            total.backward()
            return total

        optimizer.step(closure)
        alpha = model.reliability()
        assert alpha["r0"] == pytest.approx(0.5, abs=0.08)
        assert all(alpha[f"r{n}"] == pytest.approx(0.95, abs=0.04) for n in range(1, 6))
        assert model.position_bias.item() == pytest.approx(0.5, abs=0.12)

    def test_strictness_is_found(self):
        rng = random.Random(1)
        scores = [
            judged((1, 2, 3), f"r{n % 4}", scores={"c": tuple(0.5 + 0.1 * (n % 4) + rng.gauss(0, 0.02) for _ in "abc")})
            for n in range(80)
        ]
        groups = groups_of(scores)
        model = ScoreModel(
            ScoreOptions(intercepts=True), {"c": 0}, [score for group in groups for score in group.scores]
        )
        prepared = model.prepare(groups, places(items_of(groups)))
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=50, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            total = model(torch.zeros(3, 1), prepared) + model.prior()
            total.backward()
            return total

        optimizer.step(closure)
        found = model.strictness.tolist()[1:]
        assert found == sorted(found, reverse=True)
        assert found[0] - found[3] > 2


class TestDealing:
    def groups(self, prompts, responses):
        records = [
            judged((1, 2), shown=(i, i + 1), prompt=f"p{p}") for p in range(prompts) for i in range(responses - 1)
        ]
        return groups_of(records)

    def test_small_prompts_are_dealt_whole_and_once(self):
        groups = self.groups(20, 4)
        batches = list(make_batches(groups, lambda _: 10, 100, random.Random(0)))
        assert sorted(item for batch in batches for item in items_of(batch)) == sorted(items_of(groups))
        assert all(len(items_of(batch)) <= 10 for batch in batches)
        assert sum(len(group.pairs) for batch in batches for group in batch) == 60

    def test_a_large_prompt_is_divided_anew_each_time(self):
        groups = self.groups(1, 40)
        first, second = (list(make_batches(groups, lambda _: 10, 100, random.Random(seed))) for seed in (0, 1))
        for batches in (first, second):
            assert sorted(item for batch in batches for item in items_of(batch)) == sorted(items_of(groups))
            assert all(len(items_of(batch)) <= 10 for batch in batches)
        assert {frozenset(items_of(b)) for b in first} != {frozenset(items_of(b)) for b in second}


@pytest.mark.parametrize("ties", ["davidson", "half"])
def test_the_share_that_a_response_should_win_counts_ties_as_halves(ties):
    model = VoteModel(VoteOptions(ties=ties), [])
    d = torch.tensor([-2.0, 0.0, 0.5, 2.0])
    share = model.share(d)
    assert torch.allclose(share + model.share(-d), torch.ones(4))
    assert bool((share.diff() > 0).all())
    if ties == "half":
        assert torch.allclose(share, torch.sigmoid(d))
    else:
        assert share[-1] < torch.sigmoid(d[-1]), "ties draw the shares towards one half"
