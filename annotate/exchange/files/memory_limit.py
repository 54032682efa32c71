"""A ceiling for the memory that a stranger's file may make this process take, and less looking for what is garbage."""

import gc
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.utils.translation import gettext as _

from core.errors import PalateError

MB = 1024 * 1024
OBJECTS = 100_000


@contextmanager
def at_most(megabytes: int) -> Iterator[None]:
    """Within it, this process may take so much more address space than it has; beyond that, PalateError.

    For workers that do one thing at a time: the limit holds for all threads of the process.
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


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Within it, garbage in circles is looked for every so many OBJECTS instead of every 700: an import makes millions,
    none in a circle, and a quarter of its time went into looking."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _address_space() -> int:
    """Bytes of address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
