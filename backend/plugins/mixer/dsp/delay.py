"""Delay: echoes, a number of them or on and on.

Knows: lines of past samples whose time stands, and how long echoes are heard.
Does not know: tempo, time is in seconds; how a line is read whose time moves (``tape``).

docs/dsp.md, section 4. The line is worked on in pieces that never cross its end, so that a sample
costs the same whatever the time is.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from .parameters import Curve, DelaySettings, Parameter, Values, largest, whole
from .sections import Block
from .sliding import FAINT
from .tape import SHORTEST, Tape

_TAIL: Final = 1e-3
"""Echoes are rendered down to this part of the first one: -60 dB."""


def frames_between(settings: DelaySettings, rate: int) -> int:
    """Samples from one echo to the next, at most."""
    if isinstance(settings.time_s, Curve):
        return math.ceil(max(SHORTEST, largest(settings.time_s) * rate)) + 2
    return max(1, whole(settings.time_s * rate))


def frames_held(settings: DelaySettings, rate: int) -> int:
    """Samples of each channel that a delay keeps."""
    return 0 if settings.is_neutral else (settings.echoes or 1) * frames_between(settings, rate)


class Delay:
    """Echoes of each channel, mixed with the sound itself."""

    latency = 0

    def __init__(self, settings: DelaySettings, rate: int, channels: int) -> None:
        self._settings = settings
        self._time = frames_between(settings, rate)
        held = frames_held(settings, rate)
        self._line: _Still | Tape = (
            Tape(settings, settings.time_s, rate, held, channels)
            if isinstance(settings.time_s, Curve)
            else _Still(settings, self._time, held, channels)
        )

    @property
    def tail_frames(self) -> int:
        """Samples until the echoes are gone, or 60 dB below the first one."""
        if self._settings.is_neutral:
            return 0
        if self._settings.echoes is not None:
            return self._settings.echoes * self._time
        feedback = largest(self._settings.feedback)
        if feedback <= 0.0:
            return self._time
        return self._time * (1 + math.ceil(math.log(_TAIL) / math.log(feedback)))

    def process(self, block: Block, start: int) -> Block:
        """The next samples; writes into *block*."""
        return block if self._settings.is_neutral else self._line.process(block, start)


class _Still:
    """Echoes whose time stands."""

    def __init__(self, settings: DelaySettings, time: int, held: int, channels: int) -> None:
        self._settings = settings
        self._time = time
        self._at = 0  # in the line
        self._slot = 0  # the line that is written to
        self._lines = np.zeros((held // time, channels, time))

    def process(self, block: Block, start: int) -> Block:
        """The next samples; writes into *block*."""
        done = 0
        while done < block.shape[1]:
            count = min(block.shape[1] - done, self._time - self._at)
            self._piece(block[:, done : done + count], start + done)
            self._at += count
            done += count
            if self._at == self._time:
                self._next_line()
        return block

    def _piece(self, piece: Block, start: int) -> None:
        feedback = _read(self._settings.feedback, start, piece.shape[1])
        mix = _read(self._settings.mix, start, piece.shape[1])
        here = slice(self._at, self._at + piece.shape[1])
        line = self._lines[self._slot, :, here]
        if self._settings.echoes is None:
            wet = line * mix
            line *= feedback
            line += piece
        else:
            wet = self._sum(here, feedback)
            wet *= mix
            line[:] = piece
        piece *= 1.0 - mix
        piece += wet

    def _sum(self, here: slice, feedback: float | Values) -> Block:
        """All echoes, by Horner's rule from the oldest on."""
        wet = self._lines[self._slot, :, here].copy()
        for back in range(len(self._lines) - 1, 0, -1):
            wet *= feedback
            wet += self._lines[self._slot - back, :, here]
        return wet

    def _next_line(self) -> None:
        self._at = 0
        self._slot = (self._slot + 1) % len(self._lines)
        if self._settings.echoes is None and np.max(np.abs(self._lines)) < FAINT:
            self._lines[:] = 0.0


def _read(parameter: Parameter, start: int, frames: int) -> float | Values:
    if isinstance(parameter, Curve):
        return parameter.at(np.arange(start, start + frames, dtype=np.float64))
    return float(parameter)
