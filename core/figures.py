"""Numbers that explain themselves: what they are, of how many, how sure, by which method, from where."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number for a page. value, low and high are None where there is none yet; `missing` then says why.

    what: one sentence; name: a few words. method: how value and interval were found. source: which data.
    n: how many of `unit`.
    """

    what: str
    name: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    method: str = ""
    source: str = ""
    missing: str = ""
    digits: int = 2

    @property
    def sure(self) -> bool:
        """Whether there is an interval."""
        return self.low is not None and self.high is not None
