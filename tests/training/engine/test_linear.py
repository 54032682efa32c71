"""The linear fit: what is foretold was not seen, and raters are told apart whatever else is learned."""

import random

import pytest
import torch

from core.records import Pair, Record, Vote
from training.engine.data.observations import groups_of
from training.engine.models.reward import PreferenceModel
from training.engine.objectives.votes import VoteOptions, reweighted
from training.engine.preference.linear import _make_folds, _rotated
from training.engine.preference.training import PreferenceConfig, train_preference
from training.engine.runtime.progress import SilentReporter

WORDS = [f"word{n}" for n in range(20)]


def judged(prompts, rng, raters=("a", "b"), turned=(), first=0, truth=2.0):
    """Comparisons of texts of six words, of which the later ones of WORDS are better, by raters of whom some say the
    opposite of what they see."""
    records = []
    for n in range(first, first + prompts):
        texts = [rng.choices(range(20), k=6) for _ in range(2)]
        for rater in rng.sample(raters, min(3, len(raters))):
            difference = truth * (sum(texts[0]) - sum(texts[1])) / 20
            won = rng.random() < torch.sigmoid(torch.tensor(difference)).item()
            won ^= rater in turned
            responses = tuple(" ".join(WORDS[k] for k in text) for text in texts)
            records.append(
                Record(str(n), str(n), f"q {n}", (f"{n}a", f"{n}b"), responses, (1, 2) if won else (2, 1), rater)
            )
    return records


class Progress(SilentReporter):
    def progress(self, step, total):
        self.last = step / total


def train_and_load(folder, train, validation, reporter=None, **votes):
    config = PreferenceConfig(kind="linear", max_length=64, votes=VoteOptions(**votes))
    metrics = train_preference(
        train, validation, base_model="", output=folder, config=config, reporter=reporter or SilentReporter()
    )
    return metrics, PreferenceModel.load(folder)


class TestCrossValidation:
    def test_what_is_left_out_is_left_out_once_in_whole_groups(self):
        records = [Record(str(n), str(n // 3), f"q {n}", ("a", "b"), ("x", "y"), (1, 2), "r") for n in range(30)]
        train, validation = groups_of(records[:24]), groups_of(records[24:])
        seen = []
        for learned, left_out in _make_folds(train, validation):
            assert len(learned) + len(left_out) == 30
            names = [{group.pairs[0].group for group in part} for part in (learned, left_out)]
            assert not names[0] & names[1]
            seen += [group.items[0] for group in left_out]
        assert sorted(seen) == sorted({group.items[0] for group in [*train, *validation]})

    def test_with_one_group_the_validation_split_is_left_out(self):
        records = [Record(str(n), "one", f"q {n}", ("a", "b"), ("x", "y"), (1, 2), "r") for n in range(6)]
        train, validation = groups_of(records[:4]), groups_of(records[4:])
        assert list(_make_folds(train, validation)) == [(train, validation)]

    def test_chance_is_not_believed_although_the_model_has_learned_it(self, tmp_path):
        """The final model has seen the validation split, too, so that only what was foretold can calibrate it."""
        rng = random.Random(0)
        train, validation = judged(60, rng, truth=0.0), judged(20, rng, first=60, truth=0.0)
        progress = Progress()
        metrics, model = train_and_load(tmp_path, train, validation, progress)
        assert metrics["validation_loss"] > 0.68
        assert progress.last == 1  # though the strongest penalty was best, and few others were tried
        chances = [
            model.probability(*model.score([(record.prompt, text) for text in record.responses]))
            for record in validation
        ]
        assert sum(abs(chance - 0.5) for chance in chances) / len(chances) < 0.08

    def test_the_validation_split_is_learned_from(self, tmp_path):
        def only(word, count, first):
            return [
                Record(str(n), str(n), f"q {n}", (f"{n}a", f"{n}b"), (f"{word} {n}", f"plain {n}"), (1, 2), "r")
                for n in range(first, first + count)
            ]

        _, model = train_and_load(tmp_path, only("early", 20, 0), only("late", 20, 20))
        early, late, plain = model.score([("q", word) for word in ("early 1", "late 1", "plain 1")])
        assert min(early, late) > plain + 0.5

    def test_turned_features_have_the_same_inner_products(self):
        x = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
        for rows in (x, x.T):
            short, axes = _rotated(rows)
            assert short.shape[1] == 5
            assert torch.allclose(short @ axes, rows, atol=1e-5)
            assert torch.allclose(axes @ axes.T, torch.eye(len(axes)), atol=1e-5)


RATERS = tuple(f"r{n:02}" for n in range(16))
TURNED = frozenset(RATERS[:4])


def fitted_to_many(folder, **votes):
    rng = random.Random(1)
    train = judged(120, rng, RATERS, TURNED, truth=6.0)
    return train_and_load(folder, train, judged(30, rng, RATERS, TURNED, first=120, truth=6.0), **votes)


@pytest.fixture(scope="module")
def separable(tmp_path_factory):
    return fitted_to_many(tmp_path_factory.mktemp("reliability"), reliability=True)


class TestRaters:
    def test_raters_who_say_the_opposite_are_found_and_do_no_harm(self, separable, tmp_path):
        metrics, model = separable
        learned = metrics["raters"]["least_reliable"]
        assert set(list(learned)[:4]) == TURNED
        assert max(learned[rater] for rater in TURNED) < 0.5
        _, all_alike = fitted_to_many(tmp_path)
        clear = [("q", " ".join([WORDS[n]] * 6)) for n in (17, 2)]
        chances = [one.probability(*one.score(clear)) for one in (model, all_alike)]
        assert chances[0] > chances[1] + 0.05

    def test_to_learn_the_pull_of_the_first_place_as_well_ends_in_no_worse_place(self, separable, tmp_path):
        one, _ = separable
        both, _ = fitted_to_many(tmp_path, reliability=True, position=True)
        assert both["validation_loss"] < one["validation_loss"] + 0.003
        assert set(list(both["raters"]["least_reliable"])[:4]) == TURNED
        assert both["position_bias"] == pytest.approx(0, abs=0.3)

    def test_calibration_weighs_votes_by_trust(self):
        pair = Pair(
            "p", "g", "q", "a", "b", "x", "y", [Vote("good", 1.0, True, 2.0, votes=2.0), Vote("bad", 0.0, True, 1.0)]
        )
        assert reweighted(pair, {"bad": 0.0}).share_a == 1.0
        assert reweighted(pair, {"good": 0.5}).share_a == 0.5
        assert pair.share_a == pytest.approx(2 / 3)
