"""Figures of several seeds as one cell of a table."""

import statistics
from collections.abc import Sequence


def mean_and_error(values: Sequence[float | None], digits: int = 2) -> str:
    """Mean ± standard deviation over seeds; a dash where a seed has no such value."""
    found = [value for value in values if value is not None]
    if not found or len(found) < len(values):
        return "-"
    spread = f" ± {statistics.stdev(found):.{digits}f}" if len(found) > 1 else ""
    return f"{statistics.fmean(found):.{digits}f}{spread}"
