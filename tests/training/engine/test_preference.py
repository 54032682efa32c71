"""Preference models of every kind, trained on tiny real data."""

import dataclasses
import json
import math
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.records import Record, pairs_of
from tests.training.engine.conftest import BAD, GOOD, records
from training.engine.models import base_models, small_models
from training.engine.models.reward import PreferenceModel, combined, spread
from training.engine.objectives.scores import ScoreOptions
from training.engine.objectives.votes import VoteOptions
from training.engine.preference.fitting import Fit
from training.engine.preference.training import PreferenceConfig, pretrained_rate, train_preference
from training.engine.runtime.progress import Cancelled, SilentReporter

CONFIG = PreferenceConfig(num_epochs=2, min_steps=20, learning_rate=2e-3, max_length=64, tokens_per_step=400)


def train(output, base="", *, judged=None, held_out=None, **changes):
    config = dataclasses.replace(CONFIG, **changes.pop("config", {}))
    return train_preference(
        judged or records(48), held_out or records(8, 48), base_model=str(base), output=output, config=config, **changes
    )


def accuracy(model):
    held_out = pairs_of(records(20, 60))
    a, b = (
        model.score([(p.prompt, text) for p, text in zip(held_out, texts, strict=True)])
        for texts in ([p.a for p in held_out], [p.b for p in held_out])
    )
    return np.mean([(x > y) == (p.margin > 0) for x, y, p in zip(a, b, held_out, strict=True)])


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        ("auto", "encoder_folder"),
        ("auto", "policy_folder"),
        ("linear", ""),
        ("linear", "encoder_folder"),
        ("cnn", ""),
        ("rnn", ""),
    ],
)
def test_each_kind_learns_a_clear_preference_and_opens_in_transformers(kind, base, request, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = request.getfixturevalue(base) if base else ""
    metrics = train(tmp_path, folder, config={"kind": kind})
    model = PreferenceModel.load(tmp_path)
    assert accuracy(model) >= 0.9
    assert metrics["train_pairs"] == 48
    lowest, middle, highest = model.quality([-1e4, model.centre, 1e4])
    assert 0 <= lowest < middle == 0.5 < highest <= 1
    assert not list(tmp_path.glob("*.bin"))

    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    if not model.causal:
        inputs = tokenizer("What can I do?", GOOD, return_tensors="pt")
        with torch.no_grad():
            assert plain(**inputs).logits.item() == pytest.approx(model.score([("What can I do?", GOOD)])[0], abs=1e-5)
    assert plain.config.num_labels == 1


class TestEnsembles:
    def test_copies_and_heads_give_members_that_differ(self, encoder_folder, tmp_path):
        for how in ("copies", "heads"):
            metrics = train(tmp_path / how, encoder_folder, config={"ensemble": 3, "ensemble_of": how})
            model = PreferenceModel.load(tmp_path / how)
            members = np.array(model.score_members([("What can I do?", GOOD), ("What can I do?", BAD)]))
            assert members.shape == (2, 3)
            assert metrics["members"] == 3
            assert min(spread(members)) > 0
            assert model.score([("What can I do?", GOOD)])[0] == pytest.approx(members[0].mean(), abs=1e-5)
            assert accuracy(model) >= 0.9

    def test_copies_of_a_linear_model_see_other_prompts(self, tmp_path):
        train(tmp_path / "bags", "", config={"kind": "linear", "ensemble": 3})
        members = PreferenceModel.load(tmp_path / "bags").score_members([("What can I do?", GOOD)])
        assert min(spread(members)) > 0

    def test_combined_by_hand(self):
        members = [[1.0, 3.0], [2.0, 2.0]]
        assert combined(members) == [2, 2]
        assert combined(members, "worst") == [1, 2]
        assert combined(members, "uncertainty", 0.5) == [1.5, 2]
        with pytest.raises(ValueError, match="mean, worst or uncertainty"):
            combined(members, "best")


def scored(count, first=0):
    """Scores of two criteria: the promise of a refund is helpful, rudeness is fluent."""
    for record in records(count, first):
        good = [GOOD[:10] in text for text in record.responses]
        yield dataclasses.replace(
            record,
            ranks=None,
            scores={
                "helpful": tuple(0.9 if g else 0.2 for g in good),
                "fluent": tuple(0.4 if g else 0.6 for g in good),
            },
        )


class TestScores:
    @pytest.mark.parametrize("likelihood", ["squared", "ordinal"])
    def test_a_head_for_each_criterion_and_their_weighted_total(self, likelihood, encoder_folder, tmp_path):
        config = {
            "scores": ScoreOptions(likelihood=likelihood, weight=1.0, intercepts=True),
            "criterion_weights": {"helpful": 3.0, "fluent": 1.0},
        }
        judged, held_out = list(scored(48)), list(scored(8, 48))
        metrics = train(tmp_path, encoder_folder, judged=judged, held_out=held_out, config=config)
        assert dict(zip(metrics["outputs"], metrics["weights"], strict=True)) == {"fluent": 0.25, "helpful": 0.75}
        model = PreferenceModel.load(tmp_path)
        items = [("What can I do?", GOOD), ("What can I do?", BAD)]
        of = model.criteria(items)
        assert of["helpful"][0] > of["helpful"][1]
        assert of["fluent"][0] < of["fluent"][1]
        total = 0.25 * np.array(of["fluent"]) + 0.75 * np.array(of["helpful"])
        assert model.score(items) == pytest.approx(total.tolist(), abs=1e-5)

    def test_ranks_with_scores_have_an_output_of_their_own(self, encoder_folder, tmp_path):
        judged = [dataclasses.replace(r, ranks=o.ranks) for r, o in zip(scored(48), records(48), strict=True)]
        metrics = train(tmp_path, encoder_folder, judged=judged)
        assert metrics["outputs"] == ["(overall)", "fluent", "helpful"]
        assert metrics["weights"] == [1, 0, 0]


class CancelAt(SilentReporter):
    def __init__(self, step):
        self.at, self.step = step, 0

    def progress(self, step, total):
        self.step = step

    def cancelled(self):
        return self.step >= self.at


class TestRuns:
    def test_a_resumed_run_equals_an_unbroken_one(self, encoder_folder, tmp_path, monkeypatch):
        monkeypatch.setattr("training.engine.preference.fitting.CHECKPOINT_SECONDS", 0.0)
        checkpoints = tmp_path / "run"
        checkpoints.mkdir()
        config = {"ema_decay": 0.9, "votes": VoteOptions(reliability=True, position=True)}
        with pytest.raises(Cancelled):
            train(tmp_path / "no", encoder_folder, checkpoints=checkpoints, reporter=CancelAt(11), config=config)
        resumed = train(tmp_path / "resumed", encoder_folder, checkpoints=checkpoints, config=config)
        whole = train(tmp_path / "whole", encoder_folder, config=config)
        assert resumed == whole
        again = train(tmp_path / "again", encoder_folder, config=config)
        assert again == whole

    def test_adapters_are_merged_into_plain_weights(self, policy_folder, tmp_path):
        train(tmp_path, policy_folder, config={"lora_r": 4, "gradient_checkpointing": True, "learning_rate": 5e-3})
        assert accuracy(PreferenceModel.load(tmp_path)) >= 0.9
        assert not list(tmp_path.glob("adapter*"))

    def test_a_linear_model_beside_one_with_adapters_has_none(self, tmp_path):
        """The report trains its baseline with the options of the model."""
        train(tmp_path, config={"kind": "linear", "lora_r": 4})
        assert accuracy(PreferenceModel.load(tmp_path)) >= 0.9

    def test_adapters_on_a_base_of_4_bits_are_merged_into_the_float_base(self, policy_folder, tmp_path):
        pytest.importorskip("bitsandbytes", reason="needs bitsandbytes, which is optional")
        config = {"lora_r": 4, "learning_rate": 5e-3, "load_in_4bit": True}
        train(tmp_path, policy_folder, config=config)
        assert accuracy(PreferenceModel.load(tmp_path)) >= 0.9
        saved, base = (
            {name: value for name, value in load_file(folder / "model.safetensors").items() if "layers" in name}
            for folder in (tmp_path, policy_folder)
        )
        assert {value.dtype for value in saved.values()} == {torch.float32}
        for name, value in saved.items():
            change = value - base[name]
            if value.dim() == 2:
                assert 0 < torch.linalg.matrix_rank(change, rtol=1e-4) <= 4
            else:
                assert not change.any()

    def test_a_base_of_4_bits_passes_gradients_on_after_a_look(self, policy_folder):
        pytest.importorskip("bitsandbytes", reason="needs bitsandbytes, which is optional")
        encoder = base_models.pretrained(
            str(policy_folder), outputs=1, kind="auto", max_length=64, layers=0, lora_r=4, gradient_checkpointing=False,
            load_in_4bit=True,
        )  # fmt: skip
        found = []
        for _ in range(2):
            encoder.model.train()
            encoder.outputs([("What can I do?", GOOD)]).sum().backward()
            found.append({n: p.grad.clone() for n, p in encoder.model.named_parameters() if p.requires_grad})
            encoder.model.zero_grad()
            encoder.model.eval()
            with torch.no_grad():
                encoder.outputs([("What can I do?", GOOD)])
        before, after = found
        assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
        assert any(gradient.any() for name, gradient in after.items() if "layers.0." in name)

    def test_a_debiased_reward_follows_length_less(self, tmp_path):
        """Where the longer response always wins, the penalty takes away what follows length alone."""
        words = "fine good well nice sound"

        def judged(count, first=0):
            return [
                Record(str(n), str(n), f"q {n}", (f"{n}a", f"{n}b"), (words, f"{words} " * (2 + n % 5)), (2, 1), "r")
                for n in range(first, first + count)
            ]

        found = {}
        for debias in (0.0, 3.0):
            folder = tmp_path / str(debias)
            train(folder, judged=judged(40), held_out=judged(8, 40), config={"kind": "cnn", "debias": debias})
            items = [("q", f"{words} " * n) for n in range(1, 7)]
            rewards = PreferenceModel.load(folder).score(items)
            found[debias] = rewards[-1] - rewards[0]
        assert found[3.0] < found[0.0] / 2

    def test_early_stopping_keeps_the_best_epoch(self, encoder_folder, tmp_path):
        against = [dataclasses.replace(r, ranks=r.ranks[::-1]) for r in records(4, 48)]
        metrics = train(
            tmp_path,
            encoder_folder,
            held_out=against,
            config={"early_stopping_patience": 2, "min_steps": 120, "learning_rate": 5e-3},
        )
        assert "no improvement in 2 evaluations" in metrics["stopped"][0]
        assert metrics["steps"] < 120


class TestBadInput:
    def test_a_split_without_comparisons(self, encoder_folder, tmp_path):
        with pytest.raises(ValueError, match=r"validation split .* none compares"):
            train_preference(records(4), [], base_model=str(encoder_folder), output=tmp_path, config=CONFIG)
        with pytest.raises(ValueError, match="not a preference model"):
            PreferenceModel.load(encoder_folder)

    def test_nothing_but_ties(self, encoder_folder, tmp_path):
        ties = [dataclasses.replace(record, ranks=(1, 1)) for record in records(4)]
        with pytest.raises(ValueError, match="all votes of the train split are ties"):
            train(tmp_path, encoder_folder, judged=ties)

    def test_one_rater_has_no_reliability(self, encoder_folder, tmp_path):
        alone = [dataclasses.replace(record, rater="r") for record in records(8)]
        with pytest.raises(ValueError, match="reliability needs two raters"):
            train(
                tmp_path, encoder_folder, judged=alone, held_out=alone, config={"votes": VoteOptions(reliability=True)}
            )

    def test_an_unknown_criterion_a_wrong_kind_and_too_many_layers(self, encoder_folder, policy_folder, tmp_path):
        with pytest.raises(ValueError, match="no criterion 'grace'; the judgements have fluent, helpful"):
            train(
                tmp_path, encoder_folder, judged=list(scored(8)), held_out=list(scored(8)),
                config={"criterion_weights": {"grace": 1.0}},
            )  # fmt: skip
        with pytest.raises(ValueError, match="is an encoder, not of kind causal"):
            train(tmp_path, encoder_folder, config={"kind": "causal"})
        with pytest.raises(ValueError, match="has 2 layers, not 9"):
            train(tmp_path, encoder_folder, config={"layers": 9})

    def test_a_loss_that_is_not_a_number_stops_with_the_batch(self, encoder_folder, tmp_path):
        with pytest.raises(ValueError, match=r"not a number at step \d+, epoch 1, batch"):
            train(tmp_path, encoder_folder, config={"learning_rate": 1e18, "weight_decay": 0.0})

    def test_a_validation_loss_that_is_never_finite_fails(self, encoder_folder, tmp_path, monkeypatch):
        monkeypatch.setattr(Fit, "validation_loss", lambda self, groups: math.nan)
        with pytest.raises(ValueError, match="validation loss is not finite at any evaluation"):
            train(tmp_path, encoder_folder, config={"num_epochs": 1, "min_steps": 2})

    def test_a_tokenizer_without_padding_pads_with_its_end(self, policy_folder, tmp_path):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        AutoModelForCausalLM.from_pretrained(policy_folder).save_pretrained(tmp_path / "base")
        tokenizer = AutoTokenizer.from_pretrained(policy_folder)
        tokenizer.pad_token = None
        tokenizer.save_pretrained(tmp_path / "base")
        train(tmp_path / "model", tmp_path / "base")
        assert accuracy(PreferenceModel.load(tmp_path / "model")) >= 0.9


def test_adapters_learn_ten_times_as_fast_by_default():
    """LoRA at the rate of full fine-tuning hardly moves."""
    assert pretrained_rate(22_000_000) == pytest.approx(1e-4)
    assert pretrained_rate(88_000_000) == pytest.approx(0.5e-4)
    assert pretrained_rate(88_000_000, lora_r=8) == pytest.approx(5e-4)


def test_small_models_can_be_registered_twice():
    small_models.register()
    small_models.register()


WORKER = """
import contextlib, json, os, sys
from pathlib import Path
from tests.training.engine.test_preference import CancelAt, Curve, train
from training.engine.preference import fitting
from training.engine.runtime.progress import Cancelled
folder, base, stop = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
fitting.CHECKPOINT_SECONDS = 0.0
curve = CancelAt(stop) if stop else Curve()
# As in a command, the first process alone knows where its checkpoint is.
checkpoints = folder if os.environ["RANK"] == "0" else None
with contextlib.suppress(Cancelled):
    train(folder / "model", base, reporter=curve, checkpoints=checkpoints, config={"precision": "float32"})
print(json.dumps([] if stop else curve.losses))
"""


class Curve(SilentReporter):
    def __init__(self):
        self.losses = []

    def metric(self, step, **values):
        self.losses += values.values()


def losses_of_two(base, folder, stop=0):
    """What each of two processes told; `stop`: the step at which both are interrupted."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, folder, base, str(stop)],
            env=os.environ
            | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    return [json.loads(process.communicate(timeout=300)[0].splitlines()[-1]) for process in processes]


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one_also_after_a_break(policy_folder, tmp_path):
    one = Curve()
    train(tmp_path / "one", policy_folder, reporter=one, config={"precision": "float32"})
    assert len(one.losses) > 4
    (tmp_path / "two").mkdir()
    first, second = losses_of_two(policy_folder, tmp_path / "two")
    assert first == pytest.approx(second, rel=1e-6)
    assert first == pytest.approx(one.losses, rel=1e-4)
    (tmp_path / "broken").mkdir()
    losses_of_two(policy_folder, tmp_path / "broken", stop=11)
    first, second = losses_of_two(policy_folder, tmp_path / "broken")
    assert first == pytest.approx(second, rel=1e-6)
    assert 0 < len(first) < len(one.losses)
    assert first == pytest.approx(one.losses[-len(first) :], rel=1e-4)
