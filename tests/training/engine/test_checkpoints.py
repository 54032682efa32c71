"""What a checkpoint says of itself."""

import pytest
import torch

from training.engine.runtime import checkpoints


def test_what_was_written_is_read(tmp_path):
    checkpoints.write(tmp_path / "run.pt", {"step": 3, "weights": torch.ones(2)})
    kept = checkpoints.read(tmp_path / "run.pt")
    assert (kept["step"], kept["weights"].tolist()) == (3, [1.0, 1.0])
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]


def test_one_of_another_version_is_refused_by_name(tmp_path):
    torch.save({"step": 3}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"run\.pt: this checkpoint was made by another version of Palate"):
        checkpoints.read(tmp_path / "run.pt")
