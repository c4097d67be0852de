"""Phases by iteration: sound whose spectra have the wanted magnitudes, as nearly as it can be.

Knows: integrated phases to start from, and Griffin and Lim's iterations with momentum.
Does not know: pictures.

The iterations are those of Griffin and Lim (1984), accelerated as in Perraudin, Balazs and
Søndergaard, "A fast Griffin-Lim algorithm" (WASPAA 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .grid import Grid, Spectra
from .phases import integrated

MOMENTUM: Final = 0.99
AT_ONCE: Final = 2**17

Values = NDArray[np.float32]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """Bins whose value is known: *found* complex64 [columns, bins] wherever *free* is False."""

    found: Spectra
    free: NDArray[np.bool_]


def spectra_of(
    magnitudes: Values, grid: Grid, n_iter: int, progress: Progress, kept: Kept | None = None
) -> Spectra:
    """Spectra complex64 [columns, bins] with *magnitudes* and phases that fit each other.

    With *kept* only its free bins are given phases, which then also fit the known ones. *progress*
    is told how many of *n_iter* iterations are done, every second or more often.
    """
    phases = integrated(magnitudes, grid.n_fft, grid.hop, lambda: progress(0))
    found: Spectra = np.empty(magnitudes.shape, np.complex64)
    np.multiply(magnitudes, np.cos(phases), out=found.real, casting="same_kind")
    np.multiply(magnitudes, np.sin(phases), out=found.imag, casting="same_kind")
    del phases
    before = np.zeros_like(found)
    weight = _weight(grid)
    for done in range(n_iter):
        progress(done)
        if kept is not None:
            np.copyto(found, kept.found, where=~kept.free)
        _iterate(found, before, magnitudes, grid, weight, MOMENTUM if done else 0.0)
    if kept is not None:
        np.copyto(found, kept.found, where=~kept.free)
    return found


def samples_of(found: Spectra, grid: Grid) -> Values:
    """Samples [grid.frames] of spectra complex64 [columns, bins]."""
    return _samples(found, grid, _weight(grid))


def _iterate(
    found: Spectra,
    before: Spectra,
    magnitudes: Values,
    grid: Grid,
    weight: Values,
    momentum: float,
) -> None:
    """One iteration in place: the spectra of the sound of *found*, carried on in the direction
    from *before*, with *magnitudes*; *before* becomes those spectra."""
    samples = np.pad(_samples(found, grid, weight), (grid.half, grid.n_fft + grid.hop))
    share = np.float32(momentum / (1.0 + momentum))
    for part in _parts(found, grid):
        start = part.start * grid.hop
        columns = part.stop - part.start
        reach = samples[None, start : start + (columns - 1) * grid.hop + grid.n_fft]
        now = grid.forth(reach, columns)[0]
        target = now - share * before[part]
        before[part] = now
        size = np.abs(target)
        size += np.float32(1e-16)
        np.divide(magnitudes[part], size, out=size)
        np.multiply(target, size, out=found[part])


def _samples(found: Spectra, grid: Grid, weight: Values) -> Values:
    added = np.zeros((len(found) - 1) * grid.hop + grid.n_fft, np.float32)
    for part in _parts(found, grid):
        piece = grid.back(found[None, part])[0]
        start = part.start * grid.hop
        added[start : start + piece.size] += piece
    samples: Values = added[grid.half : grid.half + grid.frames] / weight
    return samples


def _parts(found: Spectra, grid: Grid) -> Iterator[slice]:
    """The columns in parts that fit a processor's cache: that is half of the speed."""
    count = max(1, AT_ONCE // grid.n_fft)
    for start in range(0, len(found), count):
        yield slice(start, min(start + count, len(found)))


def _weight(grid: Grid) -> Values:
    weight: Values = grid.weight(0, grid.frames).astype(np.float32)
    return weight
