"""Plots as inline SVG, drawn by hand: no library, no script, colours from the page.

Each function takes numbers and returns an `<svg>` of 360 × 230 units that scales with its
box. The page's style sheet colours the classes. Labels are ours; nothing from a document
is drawn. Knows no result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 44, 348, 12, 184
TICKS = 4


@dataclass(frozen=True, slots=True)
class Series:
    """Points `(x, y)` under a name; `style` is `a` or `b`, a colour of the page.

    `bars` gives the low and high end of an interval for each point, or is empty.
    """

    name: str
    style: str
    points: Sequence[tuple[float, float]]
    bars: Sequence[tuple[float, float]] = ()
    line: bool = True
    dots: bool = True


@dataclass(frozen=True, slots=True)
class Axes:
    """What the axes say and where they end."""

    x: str
    y: str
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    x_ticks: Sequence[float] = (0, 0.25, 0.5, 0.75, 1)

    def px(self, value: float) -> float:
        """Return the horizontal place of a value."""
        low, high = self.x_range
        return LEFT + (value - low) / ((high - low) or 1) * (RIGHT - LEFT)

    def py(self, value: float) -> float:
        """Return the vertical place of a value."""
        low, high = self.y_range
        return BOTTOM - (value - low) / ((high - low) or 1) * (BOTTOM - TOP)


def lines(axes: Axes, series: Sequence[Series], extra: str = "") -> str:
    """Draw series over axes, with a legend where there are several."""
    parts = [_frame(axes), extra, *(_series(axes, s) for s in series)]
    if len(series) > 1:
        parts.append(_legend(series))
    return _svg(axes, parts)


def histogram(
    values: Sequence[float], axes_x: str, marks: Iterable[tuple[str, float]], bins: int = 14
) -> str:
    """Draw how often values fall where, from 0, with named vertical marks."""
    ticks = nice_ticks(max(values, default=0.0))
    top = ticks[-1]
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / top * bins))] += 1
    high = -(-max(counts) // TICKS) * TICKS  # so that every line of the grid is a whole number
    axes = Axes(axes_x, "questions", (0, top), (0, float(high)), ticks)
    parts = [_frame(axes)]
    for place, count in enumerate(counts):
        x, width = axes.px(top * place / bins), (RIGHT - LEFT) / bins - 1.5
        y = axes.py(count)
        title = (
            f"{count} between {_short(top * place / bins)} and {_short(top * (place + 1) / bins)}"
        )
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{BOTTOM - y:.1f}" rx="1.5"><title>{title}</title></rect>'
        )
    for place, (name, value) in enumerate(marks):
        parts.append(_mark(axes, value, f"{name} {_short(value)}", TOP + 12 + 14 * place))
    return _svg(axes, parts)


def nice_ticks(top: float) -> list[float]:
    """Return round numbers from 0 to the first that is not below `top`, at most seven."""
    if top <= 0:
        return [0.0, 1.0]
    size = 10.0 ** math.floor(math.log10(top))
    step = next(s * size for s in (0.2, 0.25, 0.5, 1, 2) if top / (s * size) <= TICKS + 2)
    return [round(step * i, 10) for i in range(math.ceil(top / step - 1e-9) + 1)]


def vertical(axes: Axes, value: float, name: str) -> str:
    """Draw a named vertical line, to be given to `lines` as `extra`."""
    return _mark(axes, value, name, TOP + 12)


def diagonal(axes: Axes) -> str:
    """Draw the line on which both axes agree."""
    (x0, x1), (y0, y1) = axes.x_range, axes.y_range
    return _line("guide", axes.px(x0), axes.py(y0), axes.px(x1), axes.py(y1))


def _mark(axes: Axes, value: float, name: str, y: float) -> str:
    x = axes.px(value)
    right = x > (LEFT + RIGHT) / 2
    shift, anchor = (-5, "end") if right else (5, "start")
    text = f'<text class="mark" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}">{name}</text>'
    return _line("guide", x, TOP, x, BOTTOM) + text


def _series(axes: Axes, series: Series) -> str:
    places = [(axes.px(x), axes.py(y)) for x, y in series.points]
    parts = []
    for (x, _), (low, high) in zip(places, series.bars, strict=False):
        parts.append(_line(f"whisker {series.style}", x, axes.py(low), x, axes.py(high)))
    if series.line and len(places) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line {series.style}" points="{path}"/>')
    if series.dots or len(places) == 1:
        for (x, y), (vx, vy) in zip(places, series.points, strict=True):
            parts.append(
                f'<circle class="dot {series.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.2">'
                f"<title>{series.name}: {_short(vx)}, {_short(vy)}</title></circle>"
            )
    return "".join(parts)


def _legend(series: Sequence[Series]) -> str:
    """Draw the names in the last row, one after the other."""
    parts, x = [], float(LEFT)
    for one in series:
        parts.append(f'<circle class="dot {one.style}" cx="{x + 4}" cy="{HEIGHT - 6}" r="4"/>')
        parts.append(f'<text class="legend" x="{x + 12}" y="{HEIGHT - 2}">{one.name}</text>')
        x += 26 + 6.4 * len(one.name)
    return "".join(parts)


def _frame(axes: Axes) -> str:
    low, high = axes.y_range
    parts = []
    for i in range(TICKS + 1):
        value = low + (high - low) * i / TICKS
        y = axes.py(value)
        parts.append(_line("grid", LEFT, y, RIGHT, y))
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
        )
    for value in axes.x_ticks:
        parts.append(
            f'<text x="{axes.px(value):.1f}" y="{BOTTOM + 15}" text-anchor="middle">'
            f"{_short(value)}</text>"
        )
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{BOTTOM + 29}" text-anchor="middle">{axes.x}</text>')
    return "".join(parts)


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _svg(axes: Axes, parts: Iterable[str]) -> str:
    label = f"{axes.y} by {axes.x}"
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}"'
    return f"<svg {box}>{''.join(parts)}</svg>"


def _short(value: float) -> str:
    """Write a number of an axis in few characters."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.4g}"
