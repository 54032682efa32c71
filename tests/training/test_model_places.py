"""Where models may lie, and what their weights may not be."""

import json
import shutil

import pytest
from django.urls import reverse
from django.utils import translation

from core.errors import PalateError
from tests.factories import MembershipFactory
from training.models import Run
from training.registry.model_versions import locate

EMPTY = (2).to_bytes(8, "little") + b"{}"

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "inside" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (folder / "model.safetensors").write_bytes(EMPTY)
    (folder / "tokenizer.json").touch()
    return folder


def test_models_lie_below_the_roots_whatever_the_path_looks_like(folder, tmp_path, settings):
    outside = tmp_path / "outside"
    shutil.copytree(folder, outside)
    (tmp_path / "inside" / "link").symlink_to(outside)
    assert locate(None, str(outside), flag="--model")
    settings.MODEL_ROOTS = [str(tmp_path / "inside")]
    assert locate(None, str(folder), flag="--model") == str(folder)
    for path in (outside, tmp_path / "inside" / "link", tmp_path / "inside" / ".." / "outside", "some/hub-name"):
        with pytest.raises(PalateError, match="MODEL_ROOTS"):
            locate(None, str(path), flag="--model")


def test_pages_offer_what_the_settings_name_to_start_from_and_nothing_else(folder, settings, client, sent):
    manager = MembershipFactory(role="manager")
    client.force_login(manager.user)
    address = reverse("run-start", args=[manager.study.slug, "pretrain"])
    values = {"corpus": "demo", "documents": "200", "max_steps": "3", "seed": "1", "base_model": str(folder)}
    assert "base_model" in client.post(address, values).context["form"].errors
    settings.BASE_MODELS = [str(folder), "some/writer"]
    page = client.get(address).content.decode()
    assert f'<option value="{folder}">model</option>' in page
    assert '<option value="some/writer">some/writer</option>' in page
    client.post(address, values)
    assert Run.objects.get().config["base_model"] == str(folder)


def test_a_folder_that_is_no_model_is_refused_in_the_language_of_the_page(folder):
    (folder / "tokenizer.json").unlink()
    with translation.override("zh-hans"), pytest.raises(PalateError) as refused:
        locate(None, str(folder), flag="--model")
    assert str(refused.value) == f"--model {folder}：文件夹中没有分词器；config.json 旁应有 tokenizer.json"


def test_weights_that_are_pickles_are_not_loaded(folder):
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    (folder / "model.safetensors").unlink()
    with pytest.raises(PalateError, match="safetensors"):
        locate(None, str(folder), flag="--model")
    (folder / "model.safetensors").write_bytes(EMPTY)
    assert locate(None, str(folder), flag="--model")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "its 0 bytes end within the header"),
        (EMPTY[:-1], "its 9 bytes end within the header"),
        ((2).to_bytes(8, "little") + b"{,", "its header cannot be read"),
        ((2).to_bytes(8, "little") + b"[]", "its header cannot be read"),
        ((32).to_bytes(8, "little") + b'{"w":   {"data_offsets":[0,16]}}' + bytes(15), "it has 55 bytes of 56"),
    ],
)
def test_weights_that_were_cut_off_are_told_before_they_are_loaded(folder, content, words):
    (folder / "copy-2").mkdir()
    (folder / "model.safetensors").write_bytes(EMPTY)
    (folder / "copy-2" / "model.safetensors").write_bytes(content)
    with pytest.raises(PalateError, match=f"--model .*: copy-2/model.safetensors is damaged: {words}"):
        locate(None, str(folder), flag="--model")


def test_a_folder_that_lacks_a_part_is_told_before_anything_is_loaded(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    with pytest.raises(PalateError, match=r"model-1\.safetensors is missing"):
        locate(None, str(folder), flag="--model")
    (folder / "model.safetensors.index.json").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(PalateError, match="has no weights; expected model"):
        locate(None, str(folder), flag="--model")
    (folder / "model.safetensors").write_bytes(EMPTY)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(PalateError, match="has no tokenizer; expected tokenizer"):
        locate(None, str(folder), flag="--model")
