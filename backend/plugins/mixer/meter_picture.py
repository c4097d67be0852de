"""The meters of a mix as a picture: a row for each strip, bus and the master.

Knows: what is drawn of each number: levels at the left, gain reduction, and the numbers themselves.
Does not know: how the numbers were measured (``gauges``), nor colours and axes (``plots``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from backend.media import plots
from backend.media.image import Image
from backend.media.levels import SILENCE_DB

from .results import Level, Meters, Reduction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWEST_DB: Final = -60.0
HIGHEST_DB: Final = 6.0
_REDUCTIONS: Final = {"gate": plots.VIOLET, "compressor": plots.AMBER, "limiter": plots.RED}
_MOST_REDUCTION_DB: Final = 24.0
_ROW_PX: Final = 26
_WIDTH_PX: Final = 1200
_LETTER_PX: Final = 8
_FITTING: Final = 18
"""Letters of a name for which there is room; for each further one the picture grows."""
_LONGEST: Final = 40
_NUMBERS: Final = ("peak\ndBFS", "true peak\ndBTP", "RMS\ndBFS", "loudness\nLUFS", "range\nLU")

Row = tuple[str, Level]


def draw(meters: Meters, names: Mapping[str, str]) -> Image:
    """A picture of *meters*; *names* are what people call strips and buses, by id."""
    groups = [list(meters.strips.items()), list(meters.buses.items())]
    groups.append([("pre-master", meters.pre_master), ("master", meters.master)])
    rows = [(_short(names.get(each) or each), level) for group in groups for each, level in group]
    beyond = max(0, max(len(name) for name, _ in rows) - _FITTING)
    size = (_WIDTH_PX + _LETTER_PX * beyond, 140 + _ROW_PX * len(rows))
    drawn, axes = plots.figure("Meters", *size, widths=(5, 3, 2.9))
    levels, reductions, numbers = axes
    for axis in axes:
        _rows(axis, rows, [len(group) for group in groups])
    levels.set_yticks(range(len(rows)), [name for name, _ in rows])
    _levels(levels, [level for _, level in rows])
    _reduced(reductions, [level for _, level in rows])
    _numbers(numbers, [level for _, level in rows])
    return plots.to_image(drawn)


def _short(name: str) -> str:
    return plots.words(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…")


def _rows(axis: Axes, rows: Sequence[Row], groups: Sequence[int]) -> None:
    """The first row on top, every other one a little lighter, a line between the groups."""
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_yticks([])
    axis.grid(visible=False, axis="y")
    for at in range(0, len(rows), 2):
        axis.axhspan(at - 0.5, at + 0.5, color=plots.GRID, alpha=0.35, linewidth=0, zorder=0)
    start = 0
    for size in groups[:-1]:
        start += size
        axis.axhline(start - 0.5, color=plots.FAINT, linewidth=0.8)


def _levels(axis: Axes, levels: Sequence[Level]) -> None:
    """RMS as a bar, the true peak and the peak as ticks, loudness as a dot."""
    true_peaks = {
        at: level.loudness.true_peak_db for at, level in enumerate(levels) if level.loudness
    }
    highest = max(HIGHEST_DB, *(level.peak_db for level in levels), *true_peaks.values())
    plots.level_axis(axis, LOWEST_DB, highest + 1, "level [dBFS, dBTP, LUFS]", across=True)
    rms = [max(0.0, level.rms_db - LOWEST_DB) for level in levels]
    axis.barh(range(len(levels)), rms, 0.5, left=LOWEST_DB, color=plots.GREEN, label="RMS")
    for at, level in enumerate(levels):
        if level.peak_db <= SILENCE_DB:
            axis.text(LOWEST_DB + 1, at, "silent", color=plots.FAINT, fontsize=8, va="center")
    _ticks(axis, true_peaks, plots.RED, "true peak")
    _ticks(axis, {at: level.peak_db for at, level in enumerate(levels)}, plots.TEXT, "peak")
    heard = {at: each.loudness.integrated_lufs for at, each in enumerate(levels) if each.loudness}
    if heard:
        axis.plot(
            list(heard.values()), list(heard), "o", color=plots.BLUE, markersize=6,
            markeredgecolor=plots.BACKGROUND, label="loudness",
        )  # fmt: skip
    axis.axvline(0.0, color=plots.FAINT, linewidth=1)
    plots.legend(axis)


def _ticks(axis: Axes, places: Mapping[int, float], colour: str, label: str) -> None:
    if not places:
        return
    low, high = [at - 0.36 for at in places], [at + 0.36 for at in places]
    axis.vlines(list(places.values()), low, high, colors=colour, linewidth=2, label=label)


def _reduced(axis: Axes, levels: Sequence[Level]) -> None:
    """For each section a bar as long as its mean reduction, and a line up to the largest."""
    most = max([0.0, *(each.max_db for level in levels for each in level.reductions.values())])
    longest = min(max(6.0, 1.05 * most), _MOST_REDUCTION_DB)
    plots.level_axis(axis, 0.0, longest, "gain reduction [dB]", across=True)
    sections = [name for name in _REDUCTIONS if any(name in level.reductions for level in levels)]
    for number, section in enumerate(sections):
        found = {at: level.reductions.get(section) for at, level in enumerate(levels)}
        places = {at: each for at, each in found.items() if each}
        rows = [at + 0.24 * (number - (len(sections) - 1) / 2) for at in places]
        colour = _REDUCTIONS[section]
        means = [each.mean_db for each in places.values()]
        axis.barh(rows, means, 0.22, color=colour, label=section)
        axis.hlines(rows, means, [each.max_db for each in places.values()], colors=colour)
        for row, each in zip(rows, places.values(), strict=True):
            if each.max_db > longest:
                _beyond(axis, row, each, colour)
    if sections:
        plots.legend(axis)
    else:
        plots.remark(axis, "no section that\nlowers the level")


def _beyond(axis: Axes, row: float, reduction: Reduction, colour: str) -> None:
    """The largest reduction in words, at the edge that its line runs over."""
    axis.text(
        0.99, row, plots.number(reduction.max_db), color=colour, fontsize=7,
        transform=axis.get_yaxis_transform(), ha="right", va="center",
        bbox={"facecolor": plots.PANEL, "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip


def _numbers(axis: Axes, levels: Sequence[Level]) -> None:
    """What the meters say, in dB, dBTP, LUFS and LU; over full scale in red."""
    axis.set_xticks([])
    axis.set_xlim(-0.6, len(_NUMBERS) - 0.4)
    axis.grid(visible=False)
    for column, name in enumerate(_NUMBERS):
        axis.text(
            column, 1.0, name, transform=axis.get_xaxis_transform(), color=plots.FAINT, fontsize=8,
            ha="center", va="bottom",
        )  # fmt: skip
    for at, level in enumerate(levels):
        for column, value in enumerate(_values(level)):
            over = column < 2 and value is not None and value > 0
            axis.text(
                column, at, _text(value), color=plots.RED if over else plots.TEXT, fontsize=9,
                ha="center", va="center",
            )  # fmt: skip


def _values(level: Level) -> tuple[float | None, ...]:
    found = level.loudness
    if found is None:
        return level.peak_db, None, level.rms_db, None, None
    return (
        level.peak_db, found.true_peak_db, level.rms_db, found.integrated_lufs, found.range_lu
    )  # fmt: skip


def _text(value: float | None) -> str:
    if value is None:
        return "·"
    return "−∞" if value <= SILENCE_DB else plots.number(value)
