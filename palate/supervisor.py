"""The processes of one machine, kept running: what ends is started again, until it ends too often."""

import fcntl
import os
import signal
import subprocess
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import PalateError

# A process that ends more often than this in so many seconds would not live after another start either.
MAX_RESTARTS, RESTART_SECONDS = 5, 60
POLL_SECONDS = 0.5


@contextmanager
def sole_holder(path: Path) -> Iterator[None]:
    """Hold the lock of a data folder. Raises PalateError while another process holds it; a killed one holds nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise PalateError(
                f"Palate already runs on {path.parent} (process {file.read().strip()}); stop that process, or set "
                "PALATE_VAR to another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class Supervisor:
    """Starts commands, each with a log file of its own, and starts those again that end.

    commands: name to command line. stop_seconds: how long a command may take to stop before it is killed.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        folder: Path,
        environment: Mapping[str, str],
        log_folder: Path,
        stop_seconds: Mapping[str, int],
    ) -> None:
        self.commands, self.stop_seconds = commands, stop_seconds
        self.folder, self.environment, self.log_folder = folder, environment, log_folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ended: dict[str, deque[float]] = defaultdict(deque)

    def start(self) -> None:
        for name in self.commands:
            self._start(name)

    def _start(self, name: str) -> None:
        with (self.log_folder / f"{name}.log").open("ab") as log:
            # A session of its own: Ctrl-C reaches this process alone, which then stops the others in order.
            self.processes[name] = subprocess.Popen(
                self.commands[name], cwd=self.folder, env=dict(self.environment), stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def watch(self, also: Callable[[], None]) -> None:
        """Start again what ends, and call `also` between two looks. Raises PalateError when one ends too often."""
        while True:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    self._restart(name, process.returncode)
            also()
            time.sleep(POLL_SECONDS)

    def _restart(self, name: str, status: int) -> None:
        ended, now = self._ended[name], time.monotonic()
        ended.append(now)
        while ended[0] < now - RESTART_SECONDS:
            ended.popleft()
        if len(ended) > MAX_RESTARTS:
            raise PalateError(f"{name} ended with status {status}, again; see {self.log_folder / name}.log")
        # A killed parent leaves children that would go on serving its port.
        _kill_session(self.processes[name])
        self._start(name)

    def stop(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is None:
                # Workers leave a long run at once: it is queued again and goes on from its checkpoint.
                process.send_signal(signal.SIGTERM if name == "web" else signal.SIGQUIT)
        asked = time.monotonic()
        for name, process in self.processes.items():
            try:
                process.wait(max(0.1, asked + self.stop_seconds[name] - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_session(process)
                process.wait()


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
