"""Metrics of a run to a tracker of the user's choice, besides the Run itself."""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annotate.errors import PalateError
from training.engine.progress import Reporter

MODULES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb", "trackio": "trackio"}


class _Tracked:
    """A reporter whose metrics also go to `send(step, values)`."""

    def __init__(self, reporter: Reporter, send: Any) -> None:
        self._reporter, self._send = reporter, send

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)

    def metric(self, step: int, **values: float) -> None:
        self._reporter.metric(step, **values)
        self._send(step, values)


def check(tracker: str) -> None:
    """Raises PalateError when the tracker's package is not installed. Imports nothing: pages ask this, too."""
    if tracker != "none" and importlib.util.find_spec(tracker) is None:
        raise PalateError(f"--track {tracker}: the package is not installed; pip install {tracker}")


@contextmanager
def tracked(
    reporter: Reporter, tracker: str, *, name: str, folder: Path, config: Mapping[str, Any]
) -> Iterator[Reporter]:
    """The reporter, whose metrics also go to the tracker; TensorBoard's files lie in `folder`."""
    if tracker == "none":
        yield reporter
        return
    package: Any = importlib.import_module(MODULES[tracker])
    if tracker == "tensorboard":
        writer = package.SummaryWriter(str(folder))

        def send(step: int, values: Mapping[str, float]) -> None:
            for key, value in values.items():
                writer.add_scalar(key, value, step)

        try:
            yield _Tracked(reporter, send)
        finally:
            writer.close()
        return
    package.init(project="palate", name=name, config=dict(config))
    try:
        yield _Tracked(reporter, lambda step, values: package.log(dict(values), step=step))
    finally:
        package.finish()
