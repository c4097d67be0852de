"""Joining: sounds one after the other, hard or crossfaded, of any rate and number of channels.

Knows: which sounds go together, and how the end of one meets the start of the next.
Does not know: what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio, check_length
from backend.media.resampling import length_at, resample_blocks, with_channels
from backend.plugins import Context, refused
from backend.plugins.files.rules import not_empty
from backend.plugins.files.sound import Block, watched


def concat(sounds: Sequence[Audio], crossfade_s: float, curve: str, ctx: Context) -> Audio:
    """All *sounds* in a row, each overlapping the one before by *crossfade_s*.

    Raises `InvalidParameters` for a sound without samples, for channels that do not fit together
    and for a sound shorter than its crossfades; ``AssetTooLarge`` beyond four hours.
    """
    rate, channels = max(s.sample_rate for s in sounds), max(s.channels for s in sounds)
    overlap = round(crossfade_s * rate)
    lengths = [length_at(s.frames, s.sample_rate, rate) for s in sounds]
    for number, (sound, length) in enumerate(zip(sounds, lengths, strict=True)):
        _check(sound, number, channels)
        fades = (number > 0) + (number < len(sounds) - 1)
        if length < fades * overlap:
            told = f"the sound lasts {sound.duration_s:.6g} s, shorter than its crossfades"
            raise refused(f"/sounds/{number}", "too_short", told)
    total = sum(lengths) - overlap * (len(sounds) - 1)
    check_length(total, rate)
    fitted = [_fitted(sound, rate, channels) for sound in sounds]
    joined = _joined(fitted, lengths, overlap, curve)
    return Audio.from_blocks(watched(joined, total, ctx), rate, channels)


def _check(sound: Audio, number: int, channels: int) -> None:
    not_empty(sound, f"/sounds/{number}")
    if sound.channels not in (1, channels):
        told = f"{sound.channels} channels cannot become {channels}"
        raise refused(f"/sounds/{number}", "channels", told)


def _fitted(sound: Audio, rate: int, channels: int) -> Iterator[Block]:
    blocks = (with_channels(block, channels) for block in sound.blocks())
    return resample_blocks(blocks, channels, sound.sample_rate, rate)


def _joined(
    sounds: Sequence[Iterator[Block]], lengths: Sequence[int], overlap: int, curve: str
) -> Iterator[Block]:
    """All *sounds*, of these *lengths*, in constant memory: where two overlap, both are read."""
    before: _Stream | None = None
    for number, (blocks, length) in enumerate(zip(sounds, lengths, strict=True)):
        stream = _Stream(blocks)
        if before is not None:
            yield from _blended(before, stream, overlap, curve)
        fades = (number > 0) + (number < len(sounds) - 1)
        yield from stream.pieces(length - fades * overlap)
        before = stream


def _blended(ending: _Stream, beginning: _Stream, overlap: int, curve: str) -> Iterator[Block]:
    """The last *overlap* frames of one sound into the first of the next."""
    done = 0
    for tail in ending.pieces(overlap):
        start, done = done, done + tail.shape[1]
        head = np.concatenate(list(beginning.pieces(tail.shape[1])), axis=1)
        falling, rising = blend(overlap, curve, start, done)
        yield (tail * falling + head * rising).astype(np.float32)


def blend(
    frames: int, curve: str, start: int = 0, stop: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The gains of what ends and of what begins, over so many frames, from *start* to *stop*.

    Their squares (``constant_power``), or they (``linear``), add up to 1 at every sample.
    """
    place = (np.arange(start, frames if stop is None else stop) + 0.5) / max(1, frames)
    if curve == "linear":
        return 1.0 - place, place
    return np.cos(0.5 * np.pi * place), np.sin(0.5 * np.pi * place)


class _Stream:
    """Blocks from which any number of frames can be taken; none is copied."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._rest: Block | None = None

    def pieces(self, frames: int) -> Iterator[Block]:
        """The next *frames*, which must be there, as they come."""
        while frames > 0:
            block = next(self._blocks) if self._rest is None else self._rest
            now, later = block[:, :frames], block[:, frames:]
            self._rest = later if later.shape[1] else None
            frames -= now.shape[1]
            if now.shape[1]:
                yield now
