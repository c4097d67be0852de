"""Pictures of a sound: its waveform, and its loudness over time.

Knows: what is drawn of a sound, and which range shows it best.
Does not know: how loudness is measured (``media.loudness``), nor colours and axes (``plots``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.context import LOCAL, Context
from backend.media import plots
from backend.media.audio import Audio
from backend.media.image import Image
from backend.media.loudness import STEP_S, Loudness

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = NDArray[np.float64]

MOST_ROWS: Final = 8
"""Channels that are drawn; of more, the first ones."""
_COLUMNS: Final = 1800
"""Two for each pixel of the axes: nothing that is as short as a pixel is lost."""
_DOTS_UP_TO: Final = 200
_ZOOM_BELOW: Final = 0.25
_PLACES: Final = {
    1: ("level",),
    2: ("left", "right"),
    3: ("L", "R", "C"),
    4: ("L", "R", "Ls", "Rs"),
    5: ("L", "R", "C", "Ls", "Rs"),
    6: ("L", "R", "C", "LFE", "Ls", "Rs"),
    7: ("L", "R", "C", "LFE", "Cs", "Ls", "Rs"),
    8: ("L", "R", "C", "LFE", "Lb", "Rb", "Ls", "Rs"),
}
"""What the channels are called, in WAVE's order."""
_POINTS: Final = 1200
"""More values of a series than that are drawn by what is in each column."""
_LOWEST_LUFS: Final = -70.0
_UNDRAWN_LUFS: Final = -120.0


class _Envelope(NamedTuple):
    """What each column of a waveform stands for: float64 [channels, columns]."""

    low: Values
    high: Values
    rms: Values


def waveform_picture(audio: Audio, ctx: Context = LOCAL) -> Image:
    """The waveform of each channel: extremes and RMS over time, read in blocks.

    A quiet sound is drawn larger; the axes say so. Where it exceeds full scale it is red. Raises
    `Unfit` for samples that are NaN or infinite.
    """
    rows = min(audio.channels, MOST_ROWS)
    title = "Waveform"
    if audio.channels > rows:
        title += f" of the first {rows} of {audio.channels} channels"
    drawn, axes = plots.figure(title, height_px=120 + max(150, 110 * rows), rows=rows)
    columns = max(1, min(audio.frames, _COLUMNS))
    names = _PLACES.get(audio.channels)
    envelope = _envelope(audio, columns, ctx)
    peak = max(float(envelope.high.max(initial=0.0)), -float(envelope.low.min(initial=0.0)))
    for channel, axis in enumerate(axes):
        low, high, rms = (part[channel] for part in envelope)
        _wave(axis, low, high, rms, audio.duration_s)
        _amplitude_axis(axis, peak, names[channel] if names else f"{channel + 1}")
        if channel < rows - 1:
            axis.tick_params(labelbottom=False)
            axis.set_xlabel("")
    if not audio.frames:
        plots.remark(axes[0], "no samples")
    return plots.to_image(drawn)


def loudness_picture(found: Loudness) -> Image:
    """Momentary and short-term loudness over time, with what was measured of the whole."""
    title = "Loudness"
    if found.integrated_lufs > _UNDRAWN_LUFS:
        title += f": {plots.number(found.integrated_lufs)} LUFS"
        title += f", range {plots.number(found.range_lu)} LU"
    drawn, (axis,) = plots.figure(title, height_px=420)
    _momentary(axis, found)
    _short_term(axis, found)
    if found.integrated_lufs > _UNDRAWN_LUFS:
        axis.axhline(found.integrated_lufs, color=plots.GREEN, linewidth=1.6, label="integrated")
    if found.true_peak_db > _UNDRAWN_LUFS:
        label = f"true peak {plots.number(found.true_peak_db)} dBTP"
        axis.axhline(found.true_peak_db, color=plots.RED, linewidth=1.4, ls="--", label=label)
    plots.time_axis(axis, found.momentary.size * STEP_S)
    plots.level_axis(axis, *_range(found), "loudness [LUFS], peak [dBTP]")
    if found.peak_db <= _UNDRAWN_LUFS:
        plots.remark(axis, "silence")
    elif not found.momentary.size:
        plots.remark(axis, "shorter than 0.1 s: no loudness over time")
    if axis.get_legend_handles_labels()[0]:
        plots.legend(axis)
    return plots.to_image(drawn)


def _envelope(audio: Audio, columns: int, ctx: Context) -> _Envelope:
    edges = np.arange(columns) * audio.frames // columns
    low = np.full((audio.channels, columns), np.inf)
    high, energy = -low, np.zeros_like(low)
    start = 0
    for block in audio.blocks():
        end = start + block.shape[1]
        first, last = np.searchsorted(edges, (start, end - 1), side="right") - 1
        part = slice(first, last + 1)
        starts = np.maximum(edges[part], start) - start
        samples = block.astype(np.float64)
        low[:, part] = np.minimum(low[:, part], np.minimum.reduceat(samples, starts, axis=1))
        high[:, part] = np.maximum(high[:, part], np.maximum.reduceat(samples, starts, axis=1))
        energy[:, part] += np.add.reduceat(np.square(samples), starts, axis=1)
        start = end
        ctx.progress(end, audio.frames)
    if not start:
        return _Envelope(*(np.zeros_like(low),) * 3)
    return _Envelope(low, high, np.sqrt(energy / np.diff(np.append(edges, audio.frames))))


def _wave(axis: Axes, low: Values, high: Values, rms: Values, duration_s: float) -> None:
    times = np.arange(low.size) * (duration_s / low.size)
    plots.time_axis(axis, duration_s)
    if low.size < _COLUMNS:
        # each column is one sample
        style = "o-" if low.size <= _DOTS_UP_TO else "-"
        axis.plot(times, low, style, color=plots.BLUE, linewidth=1.0, markersize=3, clip_on=False)
        over = np.abs(low) > 1.0
        if over.any():  # an empty series would spoil the layout
            axis.plot(times[over], low[over], "o", color=plots.RED, markersize=3, clip_on=False)
        return
    axis.fill_between(times, low, high, color=plots.BLUE, alpha=0.6, linewidth=0.5)
    axis.fill_between(
        times, np.maximum(-rms, low), np.minimum(rms, high), color=plots.BLUE, linewidth=0
    )
    over = (high > 1.0) | (low < -1.0)
    axis.vlines(times[over], low[over], high[over], color=plots.RED, linewidth=0.8)


def _amplitude_axis(axis: Axes, peak: float, name: str) -> None:
    """Linear in amplitude, labelled in dBFS, as large as *peak* needs."""
    most = 1.0
    if 0 < peak < _ZOOM_BELOW:
        most = 2.0 ** math.ceil(math.log2(peak))
    most = max(most, peak)
    highest = 6 * math.floor(20 * math.log10(most) / 6 + 0.01)
    levels = [highest, highest - 6]
    ticks = [10 ** (level / 20) for level in levels]
    labels = [plots.number(level, 0) for level in levels]
    axis.set_yticks([*ticks, 0.0, *(-tick for tick in ticks)], [*labels, "−∞", *labels])
    axis.set_ylim(-1.08 * most, 1.08 * most)
    axis.set_ylabel(f"{name} [dBFS]")
    if peak > 1.0:
        for side in (1.0, -1.0):
            axis.axhline(side, color=plots.RED, linewidth=0.9, linestyle="--")


def _momentary(axis: Axes, found: Loudness) -> None:
    if found.momentary_max_lufs <= _UNDRAWN_LUFS:
        return
    label = f"momentary, max {plots.number(found.momentary_max_lufs)} LUFS"
    if found.momentary.size <= _POINTS:
        times = np.arange(1, found.momentary.size + 1) * STEP_S
        axis.plot(times, _shown(found.momentary), color=plots.BLUE, linewidth=0.9, label=label)
        return
    times, columns = _folded(found.momentary)
    low, high = columns.min(axis=1), columns.max(axis=1)
    axis.fill_between(times, low, high, color=plots.BLUE, alpha=0.45, linewidth=0.4, label=label)


def _short_term(axis: Axes, found: Loudness) -> None:
    if found.short_term_max_lufs <= _UNDRAWN_LUFS:
        return
    times, values = np.arange(1, found.short_term.size + 1) * STEP_S, found.short_term
    if values.size > _POINTS:
        times, columns = _folded(values)
        values = np.median(columns, axis=1)
    label = f"short-term, max {plots.number(found.short_term_max_lufs)} LUFS"
    axis.plot(times, _shown(values), color=plots.AMBER, linewidth=1.6, label=label)


def _folded(values: Values) -> tuple[Values, Values]:
    """The middle of each column in seconds [columns], and the values in it [columns, k]."""
    size = -(-values.size // _POINTS)
    whole = values.size // size * size
    times: Values = STEP_S * (np.arange(0.0, whole, size) + (size + 1) / 2)
    return times, values[:whole].reshape(-1, size)


def _shown(values: Values) -> Values:
    """Silence is a gap."""
    return np.where(values > _UNDRAWN_LUFS, values, np.nan)


def _range(found: Loudness) -> tuple[float, float]:
    """From a little below what is heard to above the peak, in steps of 6 dB."""
    heard = found.momentary[found.momentary > _LOWEST_LUFS]
    if not heard.size:
        return -60.0, max(6.0, found.true_peak_db + 3)
    low = max(_LOWEST_LUFS, min(float(np.percentile(heard, 5)) - 6, found.integrated_lufs - 18))
    high = max(found.true_peak_db, found.momentary_max_lufs) + 2
    return 6 * math.floor(low / 6), 6 * math.ceil(high / 6)
