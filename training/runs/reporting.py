"""Report a running job: the Run row (progress, heartbeat, log), its points and samples, its log file, and a progress
bar in the terminal. The engine knows only the Reporter protocol (training.engine.runtime.progress)."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone
from tqdm import tqdm

from training.engine.runtime.progress import Cancelled, Pieces
from training.errors import StaleAttempt
from training.models import Run, RunPoint, RunSample
from training.runs.run_errors import summary

logger = structlog.get_logger("palate.runs")

LOG_TAIL = 20_000
SECONDS_BETWEEN_WRITES = 1.0


def run_folder(run: Run) -> Path:
    """Return the folder of a run's log and checkpoints."""
    return Path(settings.RUNS_DIR) / str(run.pk)


def has_checkpoint(run: Run) -> bool:
    return any(run_folder(run).glob("*.pt"))


def forget_checkpoints(run: Run) -> None:
    """Delete the files that only another attempt of the run would need."""
    for checkpoint in (*run_folder(run).glob("*.pt"), *run_folder(run).glob("*.partial")):
        checkpoint.unlink(missing_ok=True)


def _plain(pieces: Pieces) -> Pieces:
    """Remove characters that PostgreSQL cannot store, and round to a hundredth of a nat, the precision of the page."""
    return [(text.replace("\0", ""), round(value, 2)) for text, value in pieces]


class RunReporter:
    """Writes a run's progress to its row at most once a second; a separate thread writes the heartbeat."""

    def __init__(self, run: Run, *, terminal: TextIO | None = None) -> None:
        self.run = run
        self._tail = run.log_tail
        self._written_at = 0.0
        self._cancel_seen = False
        # The newest valid row of each kind: of this attempt, or of the earlier ones that it resumes.
        self._position = {"points": 0, "samples": 0}
        self._begun: set[str] = set()
        self._stop = threading.Event()
        self._bar = tqdm(desc=run.get_kind_display(), file=terminal, dynamic_ncols=True) if terminal else None
        folder = run_folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "log.txt").open("a", encoding="utf-8")
        self._heart = threading.Thread(target=self._beat, name=f"heartbeat of run {run.pk}", daemon=True)

    def __enter__(self) -> "RunReporter":
        self._heart.start()
        return self

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        # The caller receives the job's own outcome, not the error that the attempt is stale.
        with suppress(StaleAttempt):
            if isinstance(error, Exception) and not isinstance(error, Cancelled | StaleAttempt):
                with suppress(OSError):  # the disk may be full
                    self.log(f"failed: {summary(error)}")
            self._write()
        self._stop.set()
        self._heart.join()
        self._file.close()
        if self._bar is not None:
            self._bar.close()

    def progress(self, step: int, total: int) -> None:
        self.run.step, self.run.total_steps = step, total
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(step - self._bar.n)
        self._write_now_and_then()

    def metric(self, step: int, **values: float) -> None:
        self._save_row("points", RunPoint(run=self.run, step=step, values=values))
        if self._bar is not None:
            self._bar.set_postfix({name: f"{value:.3g}" for name, value in values.items()})

    def log(self, message: str) -> None:
        line = f"{timezone.now():%H:%M:%S} {message}\n".replace("\0", "")
        self._file.write(line)
        self._file.flush()
        self._tail = (self._tail + line)[-LOG_TAIL:]
        if self._bar is not None:
            self._bar.write(message, file=self._bar.fp)
        self._write_now_and_then()

    def sample(self, step: int, prompt: str, response: str, reward: float | None) -> None:
        response = response.replace("\0", "")
        self._save_row("samples", RunSample(run=self.run, step=step, prompt=prompt, response=response, reward=reward))

    def comparison(
        self,
        step: int,
        prompt: str,
        texts: tuple[str, str],
        rewards: tuple[float, float] | None,
        changes: tuple[Pieces, Pieces],
    ) -> None:
        before, after = (text.replace("\0", "") for text in texts)
        before_reward, reward = rewards or (None, None)
        self._save_row("samples", RunSample(
            run=self.run, step=step, prompt=prompt, response=after, reward=reward, before=before,
            before_reward=before_reward, changes={"before": _plain(changes[0]), "after": _plain(changes[1])},
        ))  # fmt: skip

    def position(self) -> dict[str, int]:
        return dict(self._position)

    def resume_at(self, position: dict[str, int]) -> None:
        self._position = dict(position)

    def cancelled(self) -> bool:
        self._write_now_and_then()
        return self._cancel_seen

    def _save_row(self, kind: str, row: RunPoint | RunSample) -> None:
        """Save a row. Before the first row of each kind, delete what an earlier attempt reported after the checkpoint,
        since this attempt repeats it."""
        if not Run.objects.attempt_of(self.run).exists():
            raise StaleAttempt
        if kind not in self._begun:
            self._begun.add(kind)
            getattr(self.run, kind).filter(pk__gt=self._position[kind]).delete()
        row.save()
        self._position[kind] = row.pk

    def _write_now_and_then(self) -> None:
        if time.monotonic() - self._written_at >= SECONDS_BETWEEN_WRITES:
            self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        self.run.log_tail, self.run.heartbeat_at = self._tail, timezone.now()
        names = ("step", "total_steps", "log_tail", "heartbeat_at")
        if not Run.objects.attempt_of(self.run).update(**{name: getattr(self.run, name) for name in names}):
            raise StaleAttempt
        self._cancel_seen = Run.objects.filter(pk=self.run.pk, cancel_requested=True).exists()

    def _beat(self) -> None:
        """Write the heartbeat, so that long steps (loading a model, a large batch, a long transaction) do not look like
        a dead worker.

        The heartbeat also writes the progress and reads the cancel request: work within one transaction neither writes
        to its row, which would lock it, nor sees what others write there. After a database error, as at a restart, the
        next heartbeat reconnects.
        """
        try:
            while not self._stop.wait(settings.RUN_HEARTBEAT_SECONDS):
                try:
                    self._beat_once()
                except DatabaseError as error:
                    logger.warning("heartbeat failed", run=self.run.pk, error=str(error))
                    connection.close()
        finally:
            connection.close()

    def _beat_once(self) -> None:
        own = Run.objects.attempt_of(self.run)
        progress = {"step": self.run.step, "total_steps": self.run.total_steps}
        own.update(heartbeat_at=timezone.now(), **progress)
        self.run.cancel_requested = own.filter(cancel_requested=True).exists()
