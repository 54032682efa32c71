"""int8 for scoring: linear layers alone, near float32, never on disk."""

import pytest
from torch import nn

from tests.training.engine.conftest import BAD, GOOD, records
from training.engine.models.reward import PreferenceModel
from training.engine.preference.training import PreferenceConfig, train_preference

TEXTS = [(f"{n} What can I do?", f"{text} {n % 7}") for n in range(12) for text in (GOOD, BAD)]


@pytest.mark.parametrize("base", ["encoder_folder", "policy_folder"])
def test_rewards_in_int8_are_near_those_in_float32(base, request, tmp_path):
    config = PreferenceConfig(num_epochs=1, min_steps=15, learning_rate=2e-3, max_length=64, tokens_per_step=400)
    folder = str(request.getfixturevalue(base))
    train_preference(records(32), records(8, 48), base_model=folder, output=tmp_path, config=config)
    files = sorted(path.name for path in tmp_path.iterdir())
    full, small = PreferenceModel.load(tmp_path), PreferenceModel.load(tmp_path, "int8")
    layers = [sum(isinstance(m, nn.Linear) for m in model.encoders[0].model.modules()) for model in (full, small)]
    assert layers[0] > 6
    assert layers[1] == 0
    exact, rounded = full.score(TEXTS), small.score(TEXTS)
    assert rounded != exact
    spread = max(exact) - min(exact)
    assert rounded == pytest.approx(exact, abs=0.1 * spread)
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_a_model_without_layers_to_round_and_a_strange_precision_are_refused(tmp_path):
    config = PreferenceConfig(kind="linear", max_length=64)
    train_preference(records(32), records(8, 48), base_model="", output=tmp_path, config=config)
    with pytest.raises(ValueError, match="type palate-linear has no linear layers but its head"):
        PreferenceModel.load(tmp_path, "int8")
    with pytest.raises(ValueError, match="expected float32, int8, not 'int4'"):
        PreferenceModel.load(tmp_path, "int4")
