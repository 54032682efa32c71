"""Where models may lie, and what their weights may not be."""

import json

import pytest

from annotate.errors import PalateError
from training.model_versions import locate

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "inside" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    return folder


def test_models_lie_below_the_roots_whatever_the_path_looks_like(folder, tmp_path, settings):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.json").write_text((folder / "config.json").read_text())
    (tmp_path / "inside" / "link").symlink_to(outside)
    assert locate(None, str(outside), flag="--model")
    settings.MODEL_ROOTS = [str(tmp_path / "inside")]
    assert locate(None, str(folder), flag="--model") == str(folder)
    for path in (outside, tmp_path / "inside" / "link", tmp_path / "inside" / ".." / "outside", "some/hub-name"):
        with pytest.raises(PalateError, match="MODEL_ROOTS"):
            locate(None, str(path), flag="--model")


def test_weights_that_are_pickles_are_not_loaded(folder):
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(PalateError, match="safetensors"):
        locate(None, str(folder), flag="--model")
    (folder / "model.safetensors").write_bytes(b"")
    assert locate(None, str(folder), flag="--model")
