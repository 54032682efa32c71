"""What a run's page says when something went wrong: in plain words where the cause is known, and the traceback."""

import errno
import re
import traceback
from collections.abc import Iterator

from core.errors import PalateError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries without Python's exceptions tell the system's error in their text.
SYSTEM_ERROR = re.compile(r"\bos error (\d+)|\bError code (\d+)")
WORDS = {
    "memory": "Memory ran out, and the run ended. A smaller model, shorter texts or smaller batches take less; the "
    "job's options offer that.",
    "disk": "The disk is full, or a file may not grow further. What the run had begun to save is deleted; make room "
    "where Palate keeps its models and runs, and start it again.",
    "died": "The worker died each time that it did this run. The system stops a process when memory runs out; its log "
    "tells. A smaller model or smaller batches take less.",
}


def told(error: Exception) -> str:
    """For the page: what went wrong, and where unless it is what somebody asked for."""
    if isinstance(error, PalateError):
        return str(error)
    trace = "".join(traceback.format_exception(error, limit=20))
    return "\n\n".join(filter(None, [_in_words(error), trace]))


def summary(error: Exception) -> str:
    """For the log, in one line."""
    return str(error) if isinstance(error, PalateError) else _in_words(error) or f"{type(error).__name__}: {error}"


def _in_words(error: Exception) -> str:
    causes = (_cause(each) for each in _chain(error))
    return next((WORDS[cause] for cause in causes if cause), "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _cause(error: BaseException) -> str:
    number = _system_error(error)
    if number in FULL:
        return "disk"
    # Of a graphics card torch raises an error of its own, which cannot be named without importing torch.
    short = isinstance(error, MemoryError) or number == errno.ENOMEM or type(error).__name__ == "OutOfMemoryError"
    return "memory" if short else ""


def _system_error(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    found = SYSTEM_ERROR.search(str(error))
    return int(found[1] or found[2]) if found else None
