"""Pictures of curves, to check them by eye.

Knows: axes with units, time below, beats as ticks, and how very many frames are drawn.
Does not know: colours and sizes (``media.plots``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from backend.media import plots
from backend.media.automation import Automation
from backend.media.curves import frame_times
from backend.media.image import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS_UP_TO: Final = 300
"""As long as a frame is a few pixels wide, a curve is drawn as the steps that it is."""
_POINTS: Final = 2000


def curve(drawn: Automation, title: str, label: str, *, beats: bool = False) -> Image:
    """One curve over time; with *beats*, a tick wherever it is at its highest."""
    figure, (axis,) = plots.figure(title, height_px=320)
    if beats:
        _draw_beats(axis, drawn)
    else:
        _draw(axis, drawn, plots.BLUE)
    _frame(axis, drawn, label)
    _name_time(axis, drawn)
    return plots.to_image(figure)


def curves(drawn: Mapping[str, tuple[Automation, str]], title: str) -> Image:
    """Several curves of one length below one another: name → (curve, label with its unit)."""
    figure, axes = plots.figure(title, height_px=90 + 120 * len(drawn), rows=len(drawn))
    for number, (axis, (each, label)) in enumerate(zip(axes, drawn.values(), strict=True)):
        _draw(axis, each, plots.COLOURS[number % len(plots.COLOURS)])
        _frame(axis, each, label)
        if axis is not axes[-1]:
            axis.tick_params(labelbottom=False)
    _name_time(axes[-1], next(iter(drawn.values()))[0])
    for axis in axes[:-1]:
        axis.sharex(axes[-1])
    figure.align_ylabels()
    return plots.to_image(figure)


def _draw(axis: Axes, drawn: Automation, colour: str) -> None:
    times, values = frame_times(drawn.frames, drawn.frame_rate), drawn.values
    if drawn.frames <= _STEPS_UP_TO:
        axis.step(times, values, where="mid", linewidth=1.4, color=colour)
        return
    # of very many frames, the lowest and the highest of each stretch: a peak is never lost
    size = -(-drawn.frames // _POINTS)
    starts = np.arange(0, drawn.frames, size)
    count = np.diff(np.append(starts, drawn.frames))
    middle = np.add.reduceat(times, starts) / count
    if size > 1:
        lowest, highest = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        axis.fill_between(middle, lowest, highest, color=colour, alpha=0.45, linewidth=0.0)
    axis.plot(middle, np.add.reduceat(values, starts) / count, linewidth=1.0, color=colour)


def _draw_beats(axis: Axes, drawn: Automation) -> None:
    low, high = float(drawn.values.min(initial=0.0)), float(drawn.values.max(initial=0.0))
    axis.axhline(low, linewidth=0.8, color=plots.FAINT)
    if high > low:
        at = frame_times(drawn.frames, drawn.frame_rate)[drawn.values == high]
        axis.vlines(at, low, high, linewidth=1.4, color=plots.AMBER)


def _frame(axis: Axes, drawn: Automation, label: str) -> None:
    """The label, and a range that shows 0 to 1 and whatever goes beyond."""
    axis.set_ylabel(label)
    low, high = float(drawn.values.min(initial=0.0)), float(drawn.values.max(initial=0.0))
    high = high if high > 1.0 or (low < 0.0 and high > low) else 1.0
    margin = 0.06 * (high - low)
    axis.set_ylim(low - margin, high + margin)


def _name_time(axis: Axes, drawn: Automation) -> None:
    plots.time_axis(
        axis, drawn.duration_s, f"time, {drawn.frames} frames at {drawn.frame_rate} frames/s"
    )
