"""Send the metrics of a run to an experiment tracker, in addition to the Run itself."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.utils.translation import gettext

from core.errors import PalateError
from training.engine.runtime.progress import Reporter
from training.models import Run
from training.runs.reporting import run_folder

Send = Callable[[int, Mapping[str, float]], None]


class _Tracked:
    """A reporter whose metrics also go to `send(step, values)`."""

    def __init__(self, reporter: Reporter, send: Send) -> None:
        self._reporter, self._send = reporter, send

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)

    def metric(self, step: int, **values: float) -> None:
        self._reporter.metric(step, **values)
        self._send(step, values)


def check(tracker: str) -> None:
    """Raise PalateError when the tracker's package is not installed. Imports nothing, since pages call this too."""
    if tracker != "none" and importlib.util.find_spec(tracker) is None:
        message = gettext("--report-to %(tracker)s: the package is not installed; pip install %(tracker)s")
        raise PalateError(message % {"tracker": tracker})


@contextmanager
def tracked(reporter: Reporter, tracker: str, run: Run, *, name: str) -> Iterator[Reporter]:
    """Yield a reporter whose metrics also go to the tracker; TensorBoard's files are in the run's folder."""
    if tracker == "none":
        yield reporter
        return
    sending = _board(run_folder(run) / "tracked") if tracker == "tensorboard" else _service(tracker, name, run.config)
    with sending as send:
        yield _Tracked(reporter, send)


@contextmanager
def _board(folder: Path) -> Iterator[Send]:
    from torch.utils.tensorboard import SummaryWriter

    writers: list[Any] = []

    def send(step: int, values: Mapping[str, float]) -> None:
        if not writers:
            # Purge what an earlier attempt reported from this step on.
            writers.append(SummaryWriter(str(folder), purge_step=step))
        for key, value in values.items():
            writers[0].add_scalar(key, value, step)

    try:
        yield send
    finally:
        for writer in writers:
            writer.close()


@contextmanager
def _service(tracker: str, name: str, config: Mapping[str, Any]) -> Iterator[Send]:
    package: Any = importlib.import_module(tracker)
    package.init(project="palate", name=name, config=dict(config))
    try:
        yield lambda step, values: package.log(dict(values), step=step)
    finally:
        package.finish()
