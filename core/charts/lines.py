"""Geometry of the small charts that templates draw as SVG. Pure functions; pages show the numbers in a table, too."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 120


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float


def bars(values: Sequence[float], width: float = WIDTH, height: float = HEIGHT) -> list[Bar]:
    """One bar a value, the tallest filling the height; a value of 0 has no height."""
    if not values:
        return []
    slot, top = width / len(values), max(*values, 0) or 1
    return [
        Bar(round(i * slot + slot * 0.1, 2), round(height * (1 - v / top), 2), round(slot * 0.8, 2),
            round(height * v / top, 2))
        for i, v in enumerate(values)
    ]  # fmt: skip


def together(series: Sequence[Sequence[tuple[float, float]]]) -> list[str]:
    """`points` of a polyline for each series, all in one box with the same axes; "" for fewer than two points."""
    xs = [x for points in series for x, _ in points]
    ys = [y for points in series for _, y in points]
    if not xs:
        return ["" for _ in series]
    left, low = min(xs), min(ys)
    across, up = (max(xs) - left) or 1, (max(ys) - low) or 1

    def placed(x: float, y: float) -> str:
        # A margin of 3 keeps the stroke inside the box.
        return f"{(x - left) / across * WIDTH:.1f},{3 + (1 - (y - low) / up) * (HEIGHT - 6):.1f}"

    return [" ".join(placed(x, y) for x, y in sorted(points)) if len(points) > 1 else "" for points in series]
