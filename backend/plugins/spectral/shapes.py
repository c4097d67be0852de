"""Shapes on the grid: how strongly each bin of each column lies in a stroke.

Knows: distances to lines and the inside of polygons, in seconds and hertz.
Does not know: what is done to the bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.plugins import LOCAL, Context, refused

from .grid import Grid
from .strokes import AnyStroke, Brush, Lasso, Rectangle

Weights = NDArray[np.float64]
Lines = NDArray[np.float64]
"""[n, 2, 2]: from and to, each seconds and hertz."""

_SMALLEST = 0.75
"""A shape is at least so many steps of the grid wide in each direction from its middle, so that
none falls between two columns or two bins."""
_NEVER = 1e9
_SHARP = 1e-9
_PART = 256


@dataclass(frozen=True, slots=True)
class Area:
    """A stroke's shape over the columns *first* up to *last* that it may touch.

    ``closed`` tells a polygon from a line; ``scale`` is the distance, in seconds and hertz, from
    the line over which a brush reaches or a polygon fades in; ``fade`` is the part of a brush's
    radius that fades.
    """

    grid: Grid
    rate: int
    lines: Lines
    closed: bool
    scale: tuple[float, float]
    fade: float
    first: int
    last: int

    def weights(self, at: int, columns: int) -> Weights:
        """Weights 0..1, [columns, bins], of so many columns from *at* on; 0 outside."""
        grid = self.grid
        times = (at + np.arange(columns)) * grid.hop / self.rate
        hertz = np.arange(grid.bins) * self.rate / grid.n_fft
        if at >= self.last or at + columns <= self.first:
            return np.zeros((columns, grid.bins))
        if not self.closed:
            inward = 1.0 - _distance(self.lines, times, hertz, self.scale)
            if self.fade == 0.0:
                return (inward >= 0.0).astype(np.float64)
            return _smooth(inward / self.fade)
        inside = _inside(self.lines, times, hertz)
        if self.scale == (0.0, 0.0):
            return inside.astype(np.float64)
        fading = (max(self.scale[0], _SHARP), max(self.scale[1], _SHARP))
        return np.where(inside, _smooth(_distance(self.lines, times, hertz, fading)), 0.0)

    def parts(self, ctx: Context) -> Iterator[tuple[int, Weights]]:
        """(column, weights) of one part after another; between them *ctx* may end the run."""
        for at in range(self.first, self.last, _PART):
            ctx.checkpoint()
            yield at, self.weights(at, min(_PART, self.last - at))


def area(stroke: AnyStroke, grid: Grid, rate: int, pointer: str, ctx: Context = LOCAL) -> Area:
    """The area of a stroke. Raises `InvalidParameters` if no bin of the sound lies in it."""
    least = _SMALLEST * grid.hop / rate, _SMALLEST * rate / grid.n_fft
    if isinstance(stroke, Brush):
        points = np.array(stroke.points, np.float64)
        scale = max(stroke.radius_s, least[0]), max(stroke.radius_hz, least[1])
        ends = points[1:] if len(points) > 1 else points
        lines = np.stack([points[: len(ends)], ends], axis=1)
        margin, closed, fade = scale, False, stroke.feather
    else:
        points = _corners(stroke, least, grid.frames / rate, rate / 2.0)
        lines = np.stack([points, np.roll(points, -1, axis=0)], axis=1)
        scale, margin, closed, fade = (stroke.feather_s, stroke.feather_hz), (0.0, 0.0), True, 0.0
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    first, last = grid.column_at(low[0], rate), grid.column_at(high[0], rate) + 1
    found = Area(grid, rate, lines, closed, scale, fade, first, last)
    if not any(weights.any() for _, weights in found.parts(ctx)):
        raise refused(
            pointer,
            "touches_nothing",
            f"no part of the sound lies in the stroke: the sound ends at {grid.frames / rate:g} s "
            f"and {rate / 2:g} Hz, and is told apart every {grid.hop / rate:.3g} s and "
            f"{rate / grid.n_fft:.3g} Hz",
        )
    return found


def _corners(
    stroke: Rectangle | Lasso, least: tuple[float, float], end_s: float, top_hz: float
) -> Lines:
    if isinstance(stroke, Lasso):
        return np.array(stroke.points, np.float64)
    start, end = _widened(stroke.start_s, stroke.end_s, least[0])
    low, high = _widened(stroke.low_hz, stroke.high_hz, least[1])
    # nothing fades where the sound itself ends
    start -= stroke.feather_s if start <= 0.0 else 0.0
    end += stroke.feather_s if end >= end_s else 0.0
    low -= stroke.feather_hz if low <= 0.0 else 0.0
    high += stroke.feather_hz if high >= top_hz else 0.0
    return np.array([(start, low), (end, low), (end, high), (start, high)])


def _widened(one: float, other: float, least: float) -> tuple[float, float]:
    low, high = sorted((one, other))
    middle, half = (low + high) / 2.0, max((high - low) / 2.0, least)
    return middle - half, middle + half


def _smooth(grown: Weights) -> Weights:
    """0 up to 0, 1 from 1 on, half a cosine between."""
    values: Weights = 0.5 - 0.5 * np.cos(np.pi * np.clip(grown, 0.0, 1.0))
    return values


def _distance(lines: Lines, times: Weights, hertz: Weights, scale: tuple[float, float]) -> Weights:
    """Distance [columns, bins] to the nearest line, in units of *scale*; `_NEVER` beyond 1."""
    found = np.full((times.size, hertz.size), _NEVER)
    for (t0, f0), (t1, f1) in lines:
        columns = _within(times, min(t0, t1) - scale[0], max(t0, t1) + scale[0])
        bins = _within(hertz, min(f0, f1) - scale[1], max(f0, f1) + scale[1])
        if columns.start == columns.stop or bins.start == bins.stop:
            continue
        along = np.array([(t1 - t0) / scale[0], (f1 - f0) / scale[1]])
        x = ((times[columns] - t0) / scale[0])[:, None]
        y = ((hertz[bins] - f0) / scale[1])[None, :]
        length = float(along @ along)
        part = np.clip((x * along[0] + y * along[1]) / length, 0.0, 1.0) if length else 0.0
        away = np.hypot(x - part * along[0], y - part * along[1])
        np.minimum(found[columns, bins], away, out=found[columns, bins])
    return found


def _within(sorted_values: Weights, low: float, high: float) -> slice:
    return slice(
        int(np.searchsorted(sorted_values, low, "left")),
        int(np.searchsorted(sorted_values, high, "right")),
    )


def _inside(lines: Lines, times: Weights, hertz: Weights) -> NDArray[np.bool_]:
    """Whether each point lies in the polygon: an odd number of edges above it."""
    odd = np.zeros((times.size, hertz.size), bool)
    for (t0, f0), (t1, f1) in lines:
        if t0 == t1:
            continue
        low, high = min(t0, t1), max(t0, t1)
        columns = slice(
            int(np.searchsorted(times, low, "left")), int(np.searchsorted(times, high, "left"))
        )
        crossing = f0 + (times[columns] - t0) / (t1 - t0) * (f1 - f0)
        odd[columns] ^= hertz[None, :] < crossing[:, None]
    return odd
