"""Tape: echoes whose time moves, so that their pitch bends.

Knows: how a line of past samples is read between its samples.
Does not know: how long echoes are heard, and times that stand (``delay``).

docs/dsp.md, section 4. Lagrange's polynomial of order 3: T. I. Laakso, V. Välimäki, M. Karjalainen
and U. K. Laine, "Splitting the unit delay", IEEE Signal Processing Magazine 13 (1996).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .parameters import Curve, DelaySettings, Values, smallest, value_at, values_at
from .sections import Block
from .sliding import FAINT, Places

SHORTEST: Final = 2.0
"""Samples: a polynomial through the next sample cannot be read nearer to the present."""


class Tape:
    """Echoes of each channel, mixed with the sound itself."""

    def __init__(
        self, settings: DelaySettings, time_s: Curve, rate: int, held: int, channels: int
    ) -> None:
        """*held* are the samples of each channel that are kept."""
        self._settings, self._time_s, self._rate = settings, time_s, rate
        self._past = np.zeros((channels, held))
        self._shortest = max(SHORTEST, smallest(time_s) * rate)

    def process(self, block: Block, start: int) -> Block:
        """The next samples; writes into *block*."""
        frames = block.shape[1]
        at = np.arange(start, start + frames, dtype=np.float64)
        delays = np.maximum(self._time_s.at(at) * self._rate, self._shortest)
        feedback = values_at(self._settings.feedback, at)
        mix = value_at(self._settings.mix, at)
        line = np.concatenate((self._past, block), axis=1)
        if self._settings.echoes is None:
            wet = self._endless(line, delays, feedback)
        else:
            wet = self._counted(line, delays, feedback, self._settings.echoes)
        self._past = line[:, frames:].copy()
        if np.abs(self._past).max() < FAINT:
            self._past[:] = 0.0
        block *= 1.0 - mix
        block += mix * wet
        return block

    def _endless(self, line: Block, delays: Values, feedback: Values) -> Block:
        """What is read [channels, n]; *line* gets it back, by the feedback, behind the past."""
        past, frames = self._past.shape[1], delays.size
        wet = np.empty((line.shape[0], frames))
        piece = int(self._shortest) - 1  # nothing in it is read before it is written
        for begin in range(0, frames, piece):
            here = slice(begin, min(begin + piece, frames))
            wet[:, here] = _read(line, np.arange(past + here.start, past + here.stop), delays[here])
            line[:, past + here.start : past + here.stop] += feedback[here] * wet[:, here]
        return wet

    def _counted(self, line: Block, delays: Values, feedback: Values, echoes: int) -> Block:
        """All echoes [channels, n], by Horner's rule from the oldest on."""
        places = np.arange(self._past.shape[1], line.shape[1])
        wet = _read(line, places, echoes * delays)
        for echo in range(echoes - 1, 0, -1):
            wet *= feedback
            wet += _read(line, places, echo * delays)
        return wet


def _read(line: Block, places: Places, delays: Values) -> Block:
    """*line* [channels, any] so many samples (2 or more, not whole) before each of *places* [n]."""
    back = np.floor(delays)
    d = delays - back
    nearest = places - back.astype(np.int64)
    read = line[:, nearest + 1] * (-d * (d - 1.0) * (d - 2.0) / 6.0)
    read += line[:, nearest] * ((d + 1.0) * (d - 1.0) * (d - 2.0) / 2.0)
    read += line[:, nearest - 1] * (-(d + 1.0) * d * (d - 2.0) / 2.0)
    read += line[:, nearest - 2] * ((d + 1.0) * d * (d - 1.0) / 6.0)
    return read
