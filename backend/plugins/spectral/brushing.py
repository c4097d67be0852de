"""Strokes applied to the spectrum of a sound, phase kept.

Knows: attenuating, and replacing by the level of the neighbourhood.
Does not know: shapes (``shapes``) and how sound is streamed (``editing``).

Strokes work on the sound as it was given; where they overlap, their gains multiply.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.image import Image
from backend.plugins import Context

from .editing import edit
from .grid import Grid, Spectra
from .neighbours import across, around
from .plotting import plot
from .shapes import area
from .strokes import FULL_DB, AnyStroke
from .viewing import levels_db

Doubles = NDArray[np.float64]
Inside = NDArray[np.bool_]


class Painter:
    """Strokes laid over the grid of a sound."""

    def __init__(
        self, audio: Audio, strokes: Sequence[AnyStroke], grid: Grid, ctx: Context
    ) -> None:
        rate = audio.sample_rate
        self._strokes = strokes
        self._grid = grid
        self._ctx = ctx
        self.areas = [
            area(stroke, grid, rate, f"/strokes/{number}", ctx)
            for number, stroke in enumerate(strokes)
        ]
        self._around = [
            around(audio, place, ctx)
            if stroke.mode == "replace" and stroke.fill_from == "time"
            else None
            for stroke, place in zip(strokes, self.areas, strict=True)
        ]

    @property
    def columns(self) -> tuple[int, int]:
        """The columns, from and up to, that any stroke may touch."""
        return min(each.first for each in self.areas), max(each.last for each in self.areas)

    def change(self, at: int, found: Spectra) -> Spectra | None:
        """What the strokes add to the spectra [C, M, bins] of the columns from *at* on."""
        gain: Doubles | None = None
        for number, place in enumerate(self.areas):
            self._ctx.checkpoint()
            weights = place.weights(at, found.shape[1])
            if weights.any():
                own = 1.0 + weights * (self._gain(number, at, found, weights > 0.0) - 1.0)
                gain = own if gain is None else gain * own
        if gain is None:
            return None
        added: Spectra = found * (gain - 1.0)
        return added

    def _gain(self, number: int, at: int, found: Spectra, inside: Inside) -> Doubles:
        """The gain that one stroke asks for where it has its full weight."""
        stroke, near = self._strokes[number], self._around[number]
        if stroke.mode == "attenuate":
            kept = 0.0 if stroke.strength_db >= FULL_DB else 10.0 ** (-stroke.strength_db / 20.0)
            return np.full(1, kept)
        levels = levels_db(found, self._grid)
        if near is not None:
            wanted = near.levels_db(at, found.shape[1])
        else:
            wanted = across(levels, inside, f"/strokes/{number}")
        change = np.where(inside, wanted - levels, 0.0)
        gain: Doubles = np.power(10.0, change.clip(-stroke.strength_db, stroke.strength_db) / 20.0)
        return gain


def brush(
    audio: Audio,
    strokes: Sequence[AnyStroke],
    n_fft: int,
    hop: int,
    picture: bool,
    ctx: Context,
) -> tuple[Audio, Audio, Image | None]:
    """*audio* with *strokes* applied, what they took away, and a picture for people."""
    grid = Grid.over(audio, n_fft, hop)
    painter = Painter(audio, strokes, grid, ctx)
    first, last = painter.columns
    result, removed = edit(audio, grid, first, last, painter.change, ctx)
    if not picture:
        return result, removed, None
    margin = max(audio.sample_rate // hop, (last - first) // 4)
    around_it = max(0, first - margin), min(grid.columns, last + margin)
    drawn = plot(result, grid, around_it, "log", 100.0, "After the strokes", ctx, painter.areas)
    return result, removed, drawn
