"""Writing the checkpoint of a training."""

from pathlib import Path
from typing import Any

import torch


def write(path: Path, content: dict[str, Any]) -> None:
    """Write aside and move into place, so that a crash leaves the old or the new one. Raises OSError, or an error with
    one in its context, when the disk is full."""
    aside = path.with_suffix(".partial")
    # torch writes into an open file: given a name, it does not say why it could not write.
    with aside.open("wb") as file:
        torch.save(content, file)
    aside.replace(path)
