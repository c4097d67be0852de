"""The level of what lies around a stroke: above and below it, or before and after it.

Knows: levels next to an area, and the straight line between them.
Does not know: what an area is replaced for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.plugins import Context, refused

from .editing import spectra
from .shapes import Area
from .viewing import LOWEST_DB, levels_db

Doubles = NDArray[np.float64]
Inside = NDArray[np.bool_]

BINS: Final = 6
"""Bins on each side that a level is taken from (their median)."""
COLUMNS: Final = 4
"""Columns on each side that a level is taken from (their mean in dB)."""


def across(levels: Doubles, inside: Inside, pointer: str) -> Doubles:
    """Levels [C, M, bins] with each run of bins that lies *inside* [M, bins] bridged.

    Raises `InvalidParameters` for a column that lies inside as a whole.
    """
    bridged = levels.copy()
    bins = inside.shape[1]
    for column in np.flatnonzero(inside.any(axis=1)):
        edges = np.diff(np.concatenate(([0], inside[column].view(np.int8), [0])))
        starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        for start, stop in zip(starts, stops, strict=True):
            if stop - start == bins:
                raise refused(
                    pointer,
                    "neighbours",
                    "the stroke covers every frequency, so there is nothing above and below it to "
                    "replace it by; use fill_from 'time'",
                )
            now = levels[:, column]
            sides = [now[:, max(0, start - BINS) : start], now[:, stop : stop + BINS]]
            below, above = (np.median(s if s.size else o, axis=1)
                            for s, o in (sides, sides[::-1]))  # fmt: skip
            part = (np.arange(stop - start) + 1.0) / (stop - start + 1.0)
            bridged[:, column, start:stop] = (
                below[:, None] + (above - below)[:, None] * part[None, :]
            )
    return bridged


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Levels before and after an area, [C, bins], and the columns [bins] that it lies between."""

    before: Doubles
    after: Doubles
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def levels_db(self, at: int, columns: int) -> Doubles:
        """The straight line between both, [C, columns, bins], for the columns from *at* on."""
        column = (at + np.arange(columns))[:, None]
        part = (column - self.first + 1.0) / (self.last - self.first + 2.0)
        clipped = part.clip(0.0, 1.0)
        line: Doubles = self.before[:, None] + (self.after - self.before)[:, None] * clipped
        return line


def around(audio: Audio, area: Area, ctx: Context) -> Neighbours:
    """What lies before and after each bin of *area*; a side where the sound ends has the other's.

    Bins that the area does not touch have no level of their own.
    """
    first, last = _extent(area, ctx)
    sums = np.zeros((2, audio.channels, area.grid.bins))
    counts = np.zeros((2, area.grid.bins))
    low, high = max(0, area.first - COLUMNS), min(area.grid.columns, area.last + COLUMNS)
    for at, found in spectra(audio, area.grid, low, high, ctx):
        levels = levels_db(found, area.grid)
        column = (at + np.arange(found.shape[1]))[:, None]
        for side, near in enumerate((
            (column >= first - COLUMNS) & (column < first),
            (column > last) & (column <= last + COLUMNS),
        )):  # fmt: skip
            sums[side] += (levels * near).sum(axis=1)
            counts[side] += near.sum(axis=0)
    means = sums / np.maximum(counts, 1.0)[:, None]
    before, after = (
        np.where(counts[side] > 0, means[side], np.where(counts[1 - side] > 0, means[1 - side],
                                                         LOWEST_DB))
        for side in (0, 1)
    )  # fmt: skip
    return Neighbours(before, after, first, last)


def _extent(area: Area, ctx: Context) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last column of each bin in *area*; the last lies before the first where
    there is none."""
    first = np.full(area.grid.bins, area.last, np.int64)
    last = np.full(area.grid.bins, area.first - 1, np.int64)
    for at, weights in area.parts(ctx):
        inside = weights > 0.0
        here = inside.any(axis=0)
        first = np.where(here, np.minimum(first, at + inside.argmax(axis=0)), first)
        end = at + inside.shape[0] - 1 - inside[::-1].argmax(axis=0)
        last = np.where(here, np.maximum(last, end), last)
    return first, last
