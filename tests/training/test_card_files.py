"""What a saved model's card says to machines."""

import json

import pytest
from huggingface_hub import ModelCard

from training.registry.card_files import Facts, write


@pytest.fixture
def card(tmp_path):
    """The card of a policy that was tuned from a folder with this README.md, or from a folder without one."""

    def written(readme=None, name="model", base="base"):
        for folder in (tmp_path / name, tmp_path / base):
            folder.mkdir(exist_ok=True)
            (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
        if readme is not None:
            (tmp_path / base / "README.md").write_text(readme)
        origin = {"study": "lamps", "snapshot": "sha256:abc"}
        facts = Facts(str(tmp_path / base), ["rlhf"], origin, {"reward": 1.5, "kl": None}, "lamps, validation split")
        write(tmp_path / name, name, "# Text\n", facts)
        return ModelCard.load(tmp_path / name / "README.md")

    return written


def test_what_a_hub_reads(card):
    found = card()
    assert found.text.strip() == "# Text"
    assert (found.data.library_name, found.data.pipeline_tag) == ("transformers", "text-generation")
    assert found.data.tags == ["palate", "rlhf"]
    assert found.data.to_dict()["palate"] == {"study": "lamps", "snapshot": "sha256:abc"}
    (result,) = found.data.eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == ("lamps, validation split", "reward", 1.5)


def test_licence_and_base_are_those_of_the_base_and_of_what_is_made_from_it(card, tmp_path):
    first = card("---\nlicense: apache-2.0\nbase_model: someone/small\n---\n\nA model.")
    assert (first.data.license, first.data.base_model) == ("apache-2.0", "someone/small")
    second = card(name="second", base="model")
    assert (second.data.license, second.data.base_model) == ("apache-2.0", "someone/small")


@pytest.mark.parametrize("readme", [None, "No front matter.", "---\nlicense: [\n---\n", "---\n- 1\n---\n"])
def test_a_licence_that_nobody_stated_is_unknown_and_no_folder_of_this_machine_is_told(card, readme, tmp_path):
    found = card(readme)
    assert (found.data.license, found.data.to_dict()["license_name"]) == ("other", "unknown")
    assert found.data.base_model is None
    assert str(tmp_path) not in (tmp_path / "model" / "README.md").read_text()
