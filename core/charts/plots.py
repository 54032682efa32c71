"""Geometry of plots with axes: intervals in rows, and points with intervals. Pure functions.

A plot is drawn by a template as SVG, on the page in the page's colours and as a file with colours of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 480
LABELS, ROW, AXIS, MARGIN = 150, 26, 30, 18
HEIGHT = 240
# Letters that fit into the column of labels at the size that the style sheet gives them.
LETTERS = 18
LETTERS_ACROSS = 48
LETTER = 8.5


@dataclass(frozen=True)
class Tick:
    at: float
    words: str


@dataclass(frozen=True)
class Row:
    """A row of a forest plot, in the units of the drawing."""

    label: str
    whole: str
    y: float
    x: float
    low: float
    high: float


@dataclass(frozen=True)
class Forest:
    width: float
    height: float
    left: float
    rows: list[Row]
    ticks: list[Tick]
    reference: float | None
    axis: str


@dataclass(frozen=True)
class Point:
    """A point with its interval. low and high are None where it has none; series: a number that gives its colour."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label: str = ""
    series: int = 0


@dataclass(frozen=True)
class Cloud:
    """points: in the units of the drawing. lines: `points` of a polyline and its series, for series to be joined."""

    width: float
    height: float
    left: float
    bottom: float
    points: list[Point]
    lines: list[tuple[str, int]]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    reference: float | None
    x_axis: str
    y_axis: str


def forest(
    rows: Sequence[tuple[str, float, float | None, float | None]], *, axis: str, reference: float | None = None
) -> Forest | None:
    """Intervals one below the other: (label, value, low, high), low and high None where there is no interval."""
    if not rows:
        return None
    ends = [end for _label, value, low, high in rows for end in (value, low, high) if end is not None]
    if reference is not None:
        ends.append(reference)
    marks = ticks(min(ends), max(ends), 5)
    low, high = min(marks[0], *ends), max(marks[-1], *ends)

    def place(value: float) -> float:
        return round(LABELS + (value - low) / ((high - low) or 1) * (WIDTH - LABELS - MARGIN), 1)

    placed = [
        Row(
            label=_short(label),
            whole=label,
            y=ROW * number + ROW / 2,
            x=place(value),
            low=place(value if start is None else start),
            high=place(value if end is None else end),
        )
        for number, (label, value, start, end) in enumerate(rows)
    ]
    drawn = [Tick(place(mark), f"{mark:g}") for mark in marks]
    line = None if reference is None else place(reference)
    return Forest(WIDTH, ROW * len(rows) + AXIS + 14, LABELS, placed, drawn, line, axis)


def cloud(
    points: Sequence[Point],
    *,
    x_axis: str,
    y_axis: str,
    x_words: Sequence[str] = (),
    reference: float | None = None,
    joined: bool = False,
) -> Cloud | None:
    """Points with intervals. x_words: words below x = 0, 1, 2, … instead of numbers. joined: a line through each
    series in the order given."""
    if not points:
        return None
    ys = [end for point in points for end in (point.y, point.low, point.high) if end is not None]
    if reference is not None:
        ys.append(reference)
    xs = [point.x for point in points] + ([0.0, float(len(x_words) - 1)] if x_words else [])
    across = [float(k) for k in range(len(x_words))] if x_words else ticks(min(xs), max(xs), 5)
    up = ticks(min(ys), max(ys), 5)
    left, bottom = 52.0, HEIGHT - AXIS - 14
    # Half of the last word stands to the right of its place, half of the first to the left.
    edge = max(MARGIN, LETTER * max((len(word) for word in x_words), default=0) / 2 - 16)
    x_low, x_high = min(across[0], *xs), max(across[-1], *xs)
    y_low, y_high = min(up[0], *ys), max(up[-1], *ys)

    def place_x(value: float) -> float:
        return round(left + 16 + (value - x_low) / ((x_high - x_low) or 1) * (WIDTH - left - 32 - edge), 1)

    def place_y(value: float) -> float:
        return round(bottom - (value - y_low) / ((y_high - y_low) or 1) * (bottom - MARGIN), 1)

    placed = [
        Point(
            place_x(p.x),
            place_y(p.y),
            None if p.low is None else place_y(p.low),
            None if p.high is None else place_y(p.high),
            p.label,
            p.series,
        )
        for p in points
    ]
    lines = []
    if joined:
        for series in sorted({p.series for p in placed}):
            lines.append((" ".join(f"{p.x},{p.y}" for p in placed if p.series == series), series))
    words = list(x_words) or [f"{mark:g}" for mark in across]
    # Words that would run into each other are left out.
    every = max(1, math.ceil(sum(len(word) + 2 for word in words) / LETTERS_ACROSS))
    return Cloud(
        width=WIDTH,
        height=HEIGHT,
        left=left,
        bottom=bottom,
        points=placed,
        lines=lines,
        x_ticks=[Tick(place_x(x), word) for x, word in list(zip(across, words, strict=True))[::every]],
        y_ticks=[Tick(place_y(y), f"{y:g}") for y in up],
        reference=None if reference is None else place_y(reference),
        x_axis=x_axis,
        y_axis=y_axis,
    )


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from low to high, about so many, at least two."""
    span = (high - low) or abs(high) or 1.0
    rough = span / about
    size = 10 ** math.floor(math.log10(rough))
    step = min((size * k for k in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:
        last += 1
    return [round(k * step, 10) for k in range(first, last + 1)]


def _short(label: str) -> str:
    return label if len(label) <= LETTERS else label[: LETTERS - 1] + "…"
