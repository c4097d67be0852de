"""Joining: sounds one after the other, hard or crossfaded, of any rate and number of channels.

Knows: which sounds go together, and how the end of one meets the start of the next.
Does not know: what is in them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio, check_length
from backend.media.resampling import length_at, resample_blocks, with_channels
from backend.plugins import Context
from backend.plugins.files.rules import not_empty, refusal
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
            raise refusal(f"/sounds/{number}", "too_short", told)
    total = sum(lengths) - overlap * (len(sounds) - 1)
    check_length(total, rate)
    fitted = [_fitted(sound, rate, channels) for sound in sounds]
    return Audio.from_blocks(
        watched(_joined(fitted, overlap, curve, channels), total, ctx), rate, channels
    )


def _check(sound: Audio, number: int, channels: int) -> None:
    not_empty(sound, f"/sounds/{number}")
    if sound.channels not in (1, channels):
        told = f"{sound.channels} channels cannot become {channels}"
        raise refusal(f"/sounds/{number}", "channels", told)


def _fitted(sound: Audio, rate: int, channels: int) -> Iterator[Block]:
    blocks = (with_channels(block, channels) for block in sound.blocks())
    return resample_blocks(blocks, channels, sound.sample_rate, rate)


def _joined(
    sounds: Sequence[Iterator[Block]], overlap: int, curve: str, channels: int
) -> Iterator[Block]:
    falling, rising = blend(overlap, curve)
    tail = np.zeros((channels, 0), np.float32)
    for number, blocks in enumerate(sounds):
        stream = _Stream(blocks, channels)
        if number and overlap:
            head = stream.take(overlap)
            yield (tail * falling + head * rising).astype(np.float32)
        last = number == len(sounds) - 1
        tail = yield from stream.rest(0 if last else overlap)


def blend(frames: int, curve: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The gains of what ends and of what begins, over so many frames.

    Their squares (``constant_power``), or they (``linear``), add up to 1 at every sample.
    """
    place = (np.arange(frames) + 0.5) / max(1, frames)
    if curve == "linear":
        return 1.0 - place, place
    return np.cos(0.5 * np.pi * place), np.sin(0.5 * np.pi * place)


class _Stream:
    """Blocks from which any number of frames can be taken."""

    def __init__(self, blocks: Iterator[Block], channels: int) -> None:
        self._blocks = blocks
        self._held = np.zeros((channels, 0), np.float32)

    def take(self, frames: int) -> Block:
        """The next *frames*, which must be there."""
        self._fill(frames)
        taken, self._held = self._held[:, :frames], self._held[:, frames:]
        return taken

    def rest(self, keep: int) -> Generator[Block, None, Block]:
        """Everything else but the last *keep* frames, which are returned."""
        while self._fill(keep + 1):
            yield self.take(self._held.shape[1] - keep)
        return self._held

    def _fill(self, frames: int) -> bool:
        while self._held.shape[1] < frames:
            block = next(self._blocks, None)
            if block is None:
                return False
            self._held = np.concatenate([self._held, block], axis=1)
        return True
