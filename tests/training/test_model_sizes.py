"""A config.json whose numbers no weights have is refused before anything is built from it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CONFIG_MAPPING

from core.errors import PalateError
from training.models import ModelKind
from training.registry.model_sizes import absurd
from training.registry.model_versions import locate

pytestmark = pytest.mark.django_db
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2}


@pytest.fixture
def folder(tmp_path):
    """A model as far as its files tell."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4000))
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    return tmp_path


def test_sound_numbers_pass(folder):
    assert locate(None, str(folder), flag="--policy", kind=ModelKind.POLICY) == str(folder)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers as 1000000000; at most 1000"),
        ({"num_hidden_layers": 1e9}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**400}, "num_hidden_layers"),
        ({"n_layer": 5000}, "n_layer"),
        ({"encoder_layers": 10**9}, "encoder_layers"),
        ({"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers"),
        ({"base": {"text_config": [{"num_hidden_layers": 10**9}]}}, "num_hidden_layers"),
        ({"depths": [2, 2, 10**9]}, "depths"),
        ({"palate": {"heads": 10**9, "copies": 1}}, "heads"),
        ({"num_labels": 10**9}, "num_labels"),
        ({"num_attention_heads": 10**9}, "num_attention_heads"),
        ({"hidden_size": 10**9}, "hidden_size"),
        ({"vocab_size": 10**12}, "vocab_size"),
        ({"hidden_size": -(10**15)}, "hidden_size"),
        ({"hidden_size": float("nan")}, "hidden_size"),
        ({"num_hidden_layers": 900, "num_experts": 5000}, "too many experts"),
        ({"hidden_size": 2**20, "num_hidden_layers": 100}, "parameters, more than its weights"),
    ],
)
def test_absurd_numbers_are_refused(folder, changed, words):
    (folder / "config.json").write_text(json.dumps({**LLAMA, **changed}))
    with pytest.raises(PalateError, match="--policy") as error:
        locate(None, str(folder), flag="--policy", kind=ModelKind.POLICY)
    assert words in str(error.value)


def test_files_that_no_parser_ends_with(folder):
    for content, words in (("[" * 100_000, "not JSON"), (" " * (21 * 1024**2), "more than 20 MB"), ("[]", "a model")):
        (folder / "config.json").write_text(content)
        with pytest.raises(PalateError, match=words):
            locate(None, str(folder), flag="--policy")
    (folder / "config.json").write_text(json.dumps(LLAMA))
    (folder / "model.safetensors").write_bytes((100_000).to_bytes(8, "little") + b"[" * 100_000)
    with pytest.raises(PalateError, match="header cannot be read"):
        locate(None, str(folder), flag="--policy")


def test_what_transformers_knows_passes():
    refused = {}
    for name in CONFIG_MAPPING:
        try:
            config = json.loads(json.dumps(CONFIG_MAPPING[name]().to_dict(), default=str))
        except Exception:  # some need other packages, or arguments
            continue
        if wrong := absurd(config):
            refused[name] = wrong
    assert refused == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["n_layer", "dim", "x"]), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["num_layers", "hidden_size", "num_experts", "vocab_size", "d_ff"]), JSON))
def test_no_config_breaks_it(config):
    assert isinstance(absurd(config), str)
