"""Writing and reading checkpoints."""

import pytest
import torch

from training.engine.runtime import checkpoints


def test_read_returns_what_write_wrote(tmp_path):
    checkpoints.write(tmp_path / "run.pt", {"step": 3, "weights": torch.ones(2)})
    content = checkpoints.read(tmp_path / "run.pt")
    assert (content["step"], content["weights"].tolist()) == (3, [1.0, 1.0])
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


def test_checkpoint_of_another_version_is_refused_by_name(tmp_path):
    torch.save({"step": 3}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"run\.pt: another version of Palate wrote this checkpoint"):
        checkpoints.read(tmp_path / "run.pt")
