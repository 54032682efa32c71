"""Write and read the checkpoints of a training."""

from pathlib import Path
from typing import Any

import torch

FORMAT = 3  # increased when the content of checkpoints changes, so that an older one is refused by name


def write(path: Path, content: dict[str, Any]) -> None:
    """Write to a temporary file and rename it, so that a crash leaves the old checkpoint or the new one.

    Raises OSError, or an error with an OSError in its context, when the disk is full.
    """
    partial = path.with_suffix(".partial")
    # torch writes into an open file: given a name, it hides the reason for a failure.
    with partial.open("wb") as file:
        torch.save(with_format(content), file)
    partial.replace(path)


def read(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint. Raises ValueError for a checkpoint of another version."""
    return checked(torch.load(path, weights_only=True), path)


def with_format(content: dict[str, Any]) -> dict[str, Any]:
    return content | {"format": FORMAT}


def checked(content: dict[str, Any], path: Path) -> dict[str, Any]:
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: another version of Palate wrote this checkpoint; start the run again")
    return content
