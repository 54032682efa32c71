"""Words that moved the reward: their parts add up, and belong to the text."""

import numpy as np
import pytest
import torch

from tests.training.engine.conftest import BAD, GOOD
from tests.training.engine.test_preference import train
from training.engine.evaluation.attribution import attribute, response_spans
from training.engine.models.reward import PreferenceModel

PROMPT = "3 What can I do?"


@pytest.fixture(scope="module")
def model(request, tmp_path_factory):
    kind, base = request.param
    folder = tmp_path_factory.mktemp("model")
    train(folder, request.getfixturevalue(base) if base else "", config={"kind": kind, "min_steps": 60})
    return PreferenceModel.load(folder)


KINDS = pytest.mark.parametrize(
    "model",
    [("linear", ""), ("linear", "encoder_folder"), ("cnn", ""), ("rnn", ""), ("auto", "encoder_folder"),
     ("auto", "policy_folder")],
    ids=["bag of tokens", "probe", "cnn", "rnn", "encoder", "causal"],
    indirect=True,
)  # fmt: skip


@KINDS
def test_the_parts_add_up_and_the_pieces_give_the_text_again(model):
    for text in (GOOD, f"  {BAD}\n\n{GOOD}  ", "x", "naïve 你好，世界 🙂 refund"):
        result = attribute(model, (PROMPT, text))
        assert "".join(piece for piece, _ in result.words) == text
        parts = [part for _, part in result.words]
        assert np.isfinite(parts).all()
        assert sum(parts) + result.length == pytest.approx(
            result.difference, rel=0.1, abs=0.02 * max(1, np.abs(parts).sum())
        )
        assert all(part == 0 for piece, part in result.words if piece.isspace())


@KINDS
def test_words_that_raters_like_raise_the_reward(model):
    like, dislike = (dict(attribute(model, (PROMPT, text)).words) for text in (GOOD, BAD))
    assert sum(like.values()) > sum(dislike.values())
    if model.causal:
        assert {"refund", "today"} <= set(like), "tokens of one word are told together"


def test_a_linear_model_is_told_exactly(tmp_path):
    train(tmp_path, config={"kind": "linear"})
    model = PreferenceModel.load(tmp_path)
    result = attribute(model, (PROMPT, GOOD))
    (encoder,) = model.encoders
    with torch.no_grad():
        row = encoder.batch([(PROMPT, GOOD)])
        empty = encoder.tokenizer(PROMPT, "", return_tensors="pt")
        nothing = encoder.model(empty["input_ids"], empty["attention_mask"]).logits.item()
        whole = encoder.model(**row).logits.item()
    assert result.difference == pytest.approx(whole - nothing, abs=1e-5)
    assert sum(part for _, part in result.words) + result.length == pytest.approx(result.difference, abs=1e-5)
    weights = model.encoders[0].model.score.weight[0, -2:]
    assert (result.length == 0) == bool((weights == 0).all())


@pytest.mark.parametrize("base", ["encoder_folder", "policy_folder"])
def test_of_a_response_that_was_cut_the_end_has_no_part(base, request, tmp_path):
    train(tmp_path, request.getfixturevalue(base), config={"max_length": 24})
    model = PreferenceModel.load(tmp_path)
    text = f"{GOOD} " * 9
    spans, place = response_spans(model.encoders[0], (PROMPT, text))
    assert len(spans) == place.stop - place.start < 24
    result = attribute(model, (PROMPT, text))
    assert "".join(piece for piece, _ in result.words) == text
    assert result.words[-1][0].endswith(f"{GOOD} ")
    assert result.words[-1][1] == 0
    assert sum(part for _, part in result.words) == pytest.approx(result.difference, rel=0.1, abs=0.02)


def test_an_ensemble_is_told_by_the_mean_of_its_members(encoder_folder, tmp_path):
    train(tmp_path, encoder_folder, config={"ensemble": 2, "ensemble_of": "copies"})
    model = PreferenceModel.load(tmp_path)
    both = attribute(model, (PROMPT, GOOD))
    singles = [attribute(PreferenceModel([encoder], model.settings), (PROMPT, GOOD)) for encoder in model.encoders]
    assert [part for _, part in both.words] == pytest.approx(
        np.mean([[part for _, part in single.words] for single in singles], axis=0).tolist()
    )
