"""A base that gets a fresh head: what is expected to differ is not warned of, all else is."""

import logging
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, BertConfig, BertForMaskedLM

from training.engine.models import base_models

PRETRAINED = {"kind": "auto", "lora_r": 0, "gradient_checkpointing": False}


@pytest.fixture
def result():
    """What transformers warns of."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logging.getLogger("transformers").addHandler(handler)
    yield records
    logging.getLogger("transformers").removeHandler(handler)


@pytest.fixture(scope="module")
def masked_folder(encoder_folder, tmp_path_factory):
    """As most encoders are shared: with the head of their pretraining, and without a pooler."""
    folder = tmp_path_factory.mktemp("masked")
    AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(folder)
    BertForMaskedLM(BertConfig.from_pretrained(encoder_folder)).save_pretrained(folder)
    return folder


def changed(folder, to, change):
    """A copy of a model whose weights are those of `change(weights)`."""
    shutil.copytree(folder, to)
    weights = load_file(to / "model.safetensors")
    save_file(change(weights), to / "model.safetensors", metadata={"format": "pt"})
    return str(to)


@pytest.mark.parametrize("base", ["encoder_folder", "masked_folder", "policy_folder"])
@pytest.mark.parametrize("layers", [0, 1])
def test_a_fresh_head_is_no_reason_for_a_warning(base, layers, result, request):
    folder = str(request.getfixturevalue(base))
    base_models.pretrained(folder, outputs=1, max_length=16, layers=layers, **PRETRAINED)
    if layers == 0:
        base_models.probe(folder, outputs=1, max_length=16)
    assert result == []
    AutoModel.from_pretrained(folder, num_hidden_layers=1)
    assert ["LOAD REPORT" in words for words in result] == [True]  # transformers' own words are as before


@pytest.mark.parametrize("base", ["masked_folder", "policy_folder"])
@pytest.mark.parametrize("name", ["missing", "unexpected"])
def test_weights_of_the_body_that_are_missing_or_too_many_are_told(base, name, result, request, tmp_path):
    def change(weights):
        inside = next(key for key in weights if ".1." in key)
        if name == "missing":
            del weights[inside]
        else:
            weights[inside.replace(".1.", ".1.scale.")] = torch.zeros(1)
        return weights

    folder = changed(request.getfixturevalue(base), tmp_path / "changed", change)
    base_models.pretrained(folder, outputs=1, max_length=16, layers=0, **PRETRAINED)
    base_models.probe(folder, outputs=1, max_length=16)
    assert ["LOAD REPORT" in words and name.upper() in words for words in result] == [True, True]


def test_weights_of_another_shape_are_told_and_refused(masked_folder, result, tmp_path):
    def change(weights):
        key = next(key for key in weights if key.endswith("1.output.dense.weight"))
        return weights | {key: torch.zeros(3, 3)}

    folder = changed(masked_folder, tmp_path / "changed", change)
    with pytest.raises(RuntimeError):
        base_models.pretrained(folder, outputs=1, max_length=16, layers=0, **PRETRAINED)
    assert len(result) == 1
