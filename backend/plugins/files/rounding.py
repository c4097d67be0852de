"""Rounding: from float samples to the integers of a file, with dither where it helps.

Knows: full scale, TPDF dither, and when a sound needs none.
Does not know: files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .formats import Dither
from .sound import Block, largest

Integers = NDArray[np.int32]
"""Samples ``[channels, n]`` in the range of their bits."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of a sound before it is written: its largest sample, and whether every sample
    lies on the grid of the integers already."""

    peak: float
    on_grid: bool


def survey(blocks: Iterable[Block], bits: int) -> Survey:
    """Look at every sample once; 0 *bits* means float, which has no grid."""
    peak, on_grid = 0.0, bits > 0
    scale = np.float32(2 ** (bits - 1)) if bits else np.float32(1)
    for block in blocks:
        peak = max(peak, largest(block))
        if on_grid:
            # a power of two: exact, so that what lies on the grid is seen to
            steps = block * scale
            on_grid = bool((steps == np.rint(steps)).all())
    return Survey(peak, on_grid)


def needs_dither(choice: Dither, bits: int, gain: float, found: Survey) -> bool:
    """Whether to dither: ``auto`` does for 16 bits, unless the sound came from so few."""
    if choice != "auto":
        return choice == "on"
    return bits <= 16 and not (found.on_grid and gain == 1.0)


def integers(blocks: Iterable[Block], bits: int, *, dither: bool, seed: int) -> Iterator[Integers]:
    """Float ``[channels, n]`` to integers of *bits*, rounded to the nearest.

    Full scale is 2^(bits-1), the inverse of how integer files are read, so they survive unchanged.
    Only +1.0 itself (and dither beside it) meets the missing last step. Dither is triangular, the
    sum of two even noises one step wide each (Lipshitz, Wannamaker and Vanderkooy 1992).
    """
    scale, noise = float(2 ** (bits - 1)), np.random.default_rng(seed)
    for block in blocks:
        values = block.astype(np.float64) * scale
        if dither:
            values += noise.random((2, *values.T.shape)).sum(axis=0).T - 1.0
        yield np.clip(np.rint(values), -scale, scale - 1.0).astype(np.int32)
