"""Editing a spectrum of any length: what changes is added to the sound, the rest is left alone.

Knows: sound read in overlapping pieces, and out = source + back(change of its spectrum).
Does not know: what the change is; whoever asks gives a function.

Only samples under a window with a change are touched; every other one keeps its bits. So an edit
at one column reaches from half a window before its middle to half a window behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio, AudioWriter
from backend.plugins import Context

from .grid import Grid, Spectra

Block = NDArray[np.float32]
Doubles = NDArray[np.float64]
Change = Callable[[int, Spectra], Spectra | None]
"""(first column, spectra [C, M, bins]) → what to add to them, or None for nothing."""

AT_ONCE: Final = 2**19
"""Values of a spectrum that are worked on at a time."""
PLAIN: Final = 65536


class Source:
    """The samples of a sound from front to back, silence before and behind it."""

    def __init__(self, audio: Audio) -> None:
        self._blocks = audio.blocks()
        self._frames = audio.frames
        self._held: Block = np.empty((audio.channels, 0), np.float32)
        self._start = 0

    def span(self, start: int, stop: int) -> Block:
        """Samples *start* up to *stop* [C, stop - start]; *start* never goes back.

        Raises `Unfit` for a sound that holds NaN or infinity.
        """
        self._drop(max(0, start))
        self._read(min(stop, self._frames))
        inside = self._held[:, : max(0, stop - self._start)]
        before = max(0, min(stop, 0) - start)
        behind = stop - start - before - inside.shape[1]
        return np.pad(inside, ((0, 0), (before, behind))) if before or behind else inside

    def _drop(self, upto: int) -> None:
        """Let go of what lies before a sample, whether it was read already or not."""
        upto = min(upto, self._frames)
        while self._start + self._held.shape[1] < upto:
            self._start += self._held.shape[1]
            self._held = self._next()
        self._held = self._held[:, upto - self._start :]
        self._start = upto

    def _read(self, upto: int) -> None:
        new, have = [self._held], self._start + self._held.shape[1]
        while have < upto:
            new.append(self._next())
            have += new[-1].shape[1]
        if len(new) > 1:
            self._held = np.concatenate(new, axis=1)

    def _next(self) -> Block:
        return next(self._blocks)


def step(grid: Grid, channels: int) -> int:
    """How many columns are worked on at a time."""
    return max(1, AT_ONCE // (channels * grid.bins))


def spectra(
    audio: Audio, grid: Grid, first: int, last: int, ctx: Context
) -> Iterator[tuple[int, Spectra]]:
    """Spectra of columns *first* up to *last*: (column, complex128 [C, M, bins]) after another."""
    source = Source(audio)
    for at in range(first, last, stride := step(grid, audio.channels)):
        upto = min(last, at + stride)
        ctx.progress(at - first, last - first)
        yield at, grid.forth(source.span(*grid.reach(at, upto)).astype(np.float64), upto - at)


def edit(
    audio: Audio, grid: Grid, first: int, last: int, change: Change, ctx: Context
) -> tuple[Audio, Audio]:
    """*audio* with *change* made to columns *first* up to *last*, and what that took away."""
    with (
        AudioWriter(audio.sample_rate, audio.channels) as result,
        AudioWriter(audio.sample_rate, audio.channels) as removed,
    ):
        for block, delta in _pieces(audio, grid, first, last, change):
            if delta is None or not delta.any():
                result.write(block)
                removed.write(np.zeros_like(block))
            else:
                # where nothing is added not even the sign of a zero changes
                after = np.where(delta != 0.0, (block + delta).astype(np.float32), block)
                result.write(after)
                removed.write(block - after)
            ctx.progress(result.frames, audio.frames)
    return result.audio(), removed.audio()


def _pieces(
    audio: Audio, grid: Grid, first: int, last: int, change: Change
) -> Iterator[tuple[Block, Doubles | None]]:
    """The whole sound in pieces, each with what is added to it."""
    source, stride = Source(audio), step(grid, audio.channels)
    begin, end = grid.reach(first, last)
    yield from _plain(source, 0, begin)
    tail = np.zeros((audio.channels, 0))
    for at in range(first, last, stride):
        upto = min(last, at + stride)
        start, stop = grid.reach(at, upto)
        samples = source.span(start, stop)
        added = change(at, grid.forth(samples.astype(np.float64), upto - at))
        total: Doubles = np.zeros(samples.shape)
        if added is not None:
            total += grid.back(added)
        total[:, : tail.shape[1]] += tail
        done = (grid.reach(upto, upto + 1)[0] if upto < last else stop) - start
        tail = total[:, done:]
        low, high = max(0, -start), min(done, audio.frames - start)
        if high > low:
            # a window on silence or on nothing may leave nothing to divide
            delta = total[:, low:high] / grid.weight(start + low, start + high)
            yield samples[:, low:high], delta
    yield from _plain(source, end, audio.frames)


def _plain(source: Source, start: int, stop: int) -> Iterator[tuple[Block, None]]:
    for at in range(max(0, start), stop, PLAIN):
        yield source.span(at, min(stop, at + PLAIN)), None
