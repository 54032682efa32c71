"""A ceiling for the memory that reading an uploaded file may take."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.utils.translation import gettext as _

from core.errors import PalateError

MB = 1024 * 1024


@contextmanager
def at_most(megabytes: int) -> Iterator[None]:
    """Allow this process that much more address space than it has; raise PalateError beyond it.

    The limit holds for all threads of the process, so use it only in workers that do one thing at a time.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _address_space() + megabytes * MB
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    except MemoryError:
        message = _("the file needs more than %(most)d MB of memory to read (IMPORT_MEMORY_MB)")
        raise PalateError(message % {"most": megabytes}) from None
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    """Bytes of address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
