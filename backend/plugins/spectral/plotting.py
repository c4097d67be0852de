"""Spectrograms for people: time in seconds, frequency in hertz, level in decibels.

Knows: how a sound of any length becomes a picture of fixed size, and how strokes are marked in it.
Does not know: pictures that are edited (``viewing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from backend.media import plots
from backend.media.audio import Audio
from backend.media.image import Image
from backend.plugins import Context

from .editing import spectra
from .grid import Grid
from .shapes import Area
from .viewing import LOWEST_DB, levels_db

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scale = Literal["linear", "log"]
WIDE: Final = 860
HIGH: Final = 320
MOST_CHANNELS: Final = 8
LOG_FROM_HZ: Final = 20.0

Levels = NDArray[np.float32]
Edges = NDArray[np.float64]


def plot(
    audio: Audio,
    grid: Grid,
    columns: tuple[int, int],
    scale: Scale,
    range_db: float,
    title: str,
    ctx: Context,
    marks: Sequence[Area] = (),
) -> Image:
    """The spectrogram of *columns* (from, up to), each channel below the last; at most 8 of them.

    Where many columns or bins share a pixel it shows the loudest. *marks* are outlined.
    """
    first, last = columns
    rate, shown = audio.sample_rate, min(audio.channels, MOST_CHANNELS)
    edges = _edges(grid, rate, scale)
    wide = min(WIDE, last - first)
    levels = np.full((shown, edges.size - 1, wide), LOWEST_DB, np.float32)
    marked = np.zeros((edges.size - 1, wide))
    for at, found in spectra(audio, grid, first, last, ctx):
        count = found.shape[1]
        place = (at - first + np.arange(count)) * wide // (last - first)
        rows = _pooled(levels_db(found[:shown], grid), edges, rate / grid.n_fft)
        _loudest(levels, place, rows)
        for area in marks:
            weights = area.weights(at, count)[None]
            _loudest(marked[None], place, _pooled(weights, edges, rate / grid.n_fft))
    at_times = (first + np.arange(wide + 1) / wide * (last - first) - 0.5) * grid.hop / rate
    top_db = float(np.ceil(levels.max())) if levels.max() > LOWEST_DB / 2 else 0.0
    return _drawn(levels, marked, at_times, edges, scale, (top_db - range_db, top_db), title)


def _edges(grid: Grid, rate: int, scale: Scale) -> Edges:
    """Frequencies between the rows of the picture."""
    if scale == "log":
        return np.geomspace(min(LOG_FROM_HZ, rate / 8), rate / 2, HIGH + 1)
    return np.linspace(0.0, rate / 2, min(HIGH, grid.bins) + 1)


def _pooled(values: NDArray[np.float64], edges: Edges, width_hz: float) -> NDArray[np.float64]:
    """Values [C, M, bins] as rows [C, rows, M]: the largest of the bins that each row covers."""
    nearest = np.rint(edges / width_hz).astype(np.intp)
    start = np.minimum(nearest[:-1], values.shape[2] - 1)
    stop = np.maximum(nearest[1:], start + 1)
    guarded = np.pad(values, ((0, 0), (0, 0), (0, 1)), constant_values=-np.inf)
    ends = np.minimum(np.stack([start, stop], axis=1).ravel(), values.shape[2])
    pooled: NDArray[np.float64] = np.maximum.reduceat(guarded, ends, axis=2)[:, :, ::2]
    return pooled.transpose(0, 2, 1)


def _loudest(picture: NDArray[Any], place: NDArray[np.intp], rows: NDArray[np.float64]) -> None:
    """Raise *picture* [C, rows, W] to *rows* [C, rows, M], column m at *place* m (in order)."""
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    loudest = np.maximum.reduceat(rows, starts, axis=2)
    columns = place[starts]
    picture[:, :, columns] = np.maximum(picture[:, :, columns], loudest)


def _drawn(
    levels: Levels,
    marked: NDArray[np.float64],
    times: Edges,
    edges: Edges,
    scale: Scale,
    limits_db: tuple[float, float],
    title: str,
) -> Image:
    channels = len(levels)
    high = 120 + (300 if channels < 3 else 180) * channels
    figure, axes = plots.figure(title, 1000, high, channels)
    mesh: Any = None
    for number, (axis, plane) in enumerate(zip(axes, levels, strict=True)):
        mesh = axis.pcolormesh(
            times, edges, plane, vmin=limits_db[0], vmax=limits_db[1], cmap="magma", rasterized=True
        )
        if marked.any():
            middle = (times[1:] + times[:-1]) / 2, (edges[1:] + edges[:-1]) / 2
            axis.contour(*middle, marked, levels=[0.5], colors=[plots.GREEN], linewidths=1.2)
        axis.grid(visible=False)
        axis.set_xlim(max(0.0, times[0]), times[-1])
        if scale == "log":
            plots.frequency_axis(axis, edges[0], edges[-1], upwards=True)
        else:
            axis.set_ylabel("frequency [Hz]")
        if channels > 1:
            axis.set_title(f"channel {number + 1}", loc="right", color=plots.TEXT, fontsize=10)
    _time_axes(axes, float(times[-1]))
    bar = figure.colorbar(mesh, ax=axes, pad=0.015, aspect=high / 14)
    bar.set_label("level [dB, full-scale sine = 0]", color=plots.TEXT, fontsize=10)
    bar.ax.tick_params(color=plots.GRID, labelcolor=plots.TEXT, labelsize=9)
    return plots.to_image(figure)


def _time_axes(axes: Sequence[Axes], end_s: float) -> None:
    """Seconds below the lowest axes, and minutes where there are more than two."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if end_s < 120.0:
        axes[-1].set_xlabel("time [s]")
        return
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 1.5, 3, 6, 10], integer=True))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda at, _: plots.clock(at)))
    axes[-1].set_xlabel("time [min:s]")
