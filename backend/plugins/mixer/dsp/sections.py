"""What all sections have in common.

Knows: how a section is fed, and what it tells about itself.
Does not know: any section.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.float64]
"""Samples [channels, frames]."""


class Section(Protocol):
    """A piece of the signal's way that keeps its state from block to block."""

    @property
    def latency(self) -> int:
        """Samples by which the output comes late; a multiple of 64."""
        ...

    @property
    def tail_frames(self) -> int:
        """Samples that still sound after the input has ended."""
        ...

    def process(self, block: Block, start: int) -> Block:
        """The next samples; *start* is the position of *block* in the programme that is fed in.

        Blocks follow one another without a gap. The section may write into *block*, and may
        return it.
        """
        ...


class Meter:
    """How far a section has lowered its signal: the largest and the mean reduction in dB."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0
        self.max_db = 0.0

    def add(self, reduction_db: npt.NDArray[np.float64]) -> None:
        """Take the next control values [k], 0 or more."""
        if reduction_db.size:
            self._sum += float(reduction_db.sum())
            self._count += reduction_db.size
            self.max_db = max(self.max_db, float(reduction_db.max()))

    @property
    def mean_db(self) -> float:
        """Mean over all control values so far; 0 before the first."""
        return self._sum / self._count if self._count else 0.0
