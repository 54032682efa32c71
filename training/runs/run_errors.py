"""Error messages of runs: a sentence where the cause is known, and the traceback."""

import errno
import re
import traceback
from collections.abc import Iterator

from django.utils.translation import gettext_noop

from core.errors import PalateError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries that do not raise Python's exceptions state the system error in their text.
SYSTEM_ERROR = re.compile(r"\bos error (\d+)|\bError code (\d+)")
MESSAGES = {
    "memory": gettext_noop(
        "The run ran out of memory. Use a smaller model, shorter texts or smaller batches; the job's options control "
        "them."
    ),
    "disk": gettext_noop(
        "The disk is full, or a file has reached its size limit. Partially saved files are deleted; free disk space "
        "for models and runs, and start the run again."
    ),
    "died": gettext_noop(
        "The worker died each time it executed this run. The system stops a process when memory runs out; see its log. "
        "Use a smaller model or smaller batches."
    ),
}


def format_error(error: Exception) -> str:
    """Return the message for the run's page, with a traceback unless it is a PalateError."""
    if isinstance(error, PalateError):
        return str(error)
    trace = "".join(traceback.format_exception(error, limit=20))
    return "\n\n".join(filter(None, [_known_message(error), trace]))


def summary(error: Exception) -> str:
    """Return the message for the log, in one line."""
    if isinstance(error, PalateError):
        return str(error)
    return _known_message(error) or f"{type(error).__name__}: {error}"


def _known_message(error: Exception) -> str:
    causes = (_cause(each) for each in _chain(error))
    return next((MESSAGES[cause] for cause in causes if cause), "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _cause(error: BaseException) -> str:
    number = _system_error(error)
    if number in FULL:
        return "disk"
    # For a GPU torch raises its own error, which cannot be referenced without importing torch.
    out_of_memory = (
        isinstance(error, MemoryError) or number == errno.ENOMEM or type(error).__name__ == "OutOfMemoryError"
    )
    return "memory" if out_of_memory else ""


def _system_error(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    match = SYSTEM_ERROR.search(str(error))
    return int(match[1] or match[2]) if match else None
