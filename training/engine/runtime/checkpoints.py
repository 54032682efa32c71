"""Writing and reading the checkpoints of a training."""

from pathlib import Path
from typing import Any

import torch

FORMAT = 2  # raised when what checkpoints hold changes, so that an older one is refused by name


def write(path: Path, content: dict[str, Any]) -> None:
    """Write aside and move into place, so that a crash leaves the old or the new one. Raises OSError, or an error with
    one in its context, when the disk is full."""
    aside = path.with_suffix(".partial")
    # torch writes into an open file: given a name, it does not say why it could not write.
    with aside.open("wb") as file:
        torch.save(marked(content), file)
    aside.replace(path)


def read(path: Path) -> dict[str, Any]:
    """What was written. Raises ValueError for a checkpoint of another version."""
    return checked(torch.load(path, weights_only=True), path)


def marked(content: dict[str, Any]) -> dict[str, Any]:
    return content | {"format": FORMAT}


def checked(kept: dict[str, Any], path: Path) -> dict[str, Any]:
    if kept.get("format") != FORMAT:
        raise ValueError(f"{path}: this checkpoint was made by another version of Palate; start the run anew")
    return kept
