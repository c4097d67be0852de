"""Sound that was painted into a spectrum: phases for bins that have none of their own.

Knows: which bins were painted, and how their phases are made to fit each other and the rest.
Does not know: pictures.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.plugins import Context, refused

from .editing import Change, spectra
from .grid import Grid, Spectra
from .griffin_lim import Kept, spectra_of

PAINTED: Final = 10.0 ** (12.0 / 20.0)
"""A bin that rises by more than this factor (12 dB) was painted; less is a louder source."""
ITERATIONS: Final = 32
VALUES: Final = 2**24


def fitted(audio: Audio, grid: Grid, first: int, last: int, change: Change, ctx: Context) -> Change:
    """*change*, with new phases for what it paints into the columns *first* up to *last*.

    All their spectra are in memory for that. Raises `InvalidParameters` over `VALUES` bins.
    """
    shape = (audio.channels, last - first, grid.bins)
    if np.prod(shape, dtype=np.int64) > VALUES:
        told = (
            f"phases are fitted for at most {VALUES} pixels at once; show a shorter part of the "
            "sound (start_s, duration_s)"
        )
        raise refused("/phase", "pixels", told)
    target, added = np.zeros(shape, np.complex64), np.zeros(shape, np.complex64)
    painted = np.zeros(shape, bool)
    for at, found in spectra(audio, grid, first, last, ctx):
        part = slice(at - first, at - first + found.shape[1])
        more = change(at, found)
        target[:, part] = found
        if more is not None:
            target[:, part] += more
            added[:, part] = more
            painted[:, part] = np.abs(found + more) > PAINTED * np.abs(found)
    for channel in np.flatnonzero(painted.any(axis=(1, 2))):
        new = _repainted(target[channel], painted[channel], grid, ctx)
        added[channel] += new - target[channel]

    def change_fitted(at: int, found: Spectra) -> Spectra | None:
        part = added[:, at - first : at - first + found.shape[1]]
        return part.astype(np.complex128) if part.any() else None

    return change_fitted


def _repainted(target: Spectra, painted: NDArray[np.bool_], grid: Grid, ctx: Context) -> Spectra:
    """*target* [columns, bins] with phases that fit where it was *painted*."""
    touched = np.flatnonzero(painted.any(axis=1))
    margin = -(-grid.n_fft // grid.hop)
    low, high = max(0, touched[0] - margin), min(len(target), touched[-1] + margin + 1)
    if high - low < 2:
        return target  # one window alone fits whatever its phase is
    part = slice(low, high)
    kept = Kept(target[part], painted[part])
    new = target.copy()
    new[part] = spectra_of(
        np.abs(target[part]),
        Grid(grid.n_fft, grid.hop, (high - low - 1) * grid.hop),
        ITERATIONS,
        lambda done: ctx.progress(done, ITERATIONS),
        kept,
    )
    return new
