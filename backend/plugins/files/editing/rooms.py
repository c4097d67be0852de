"""Rooms: reverb, and convolution with an impulse response, streamed with their tails.

Knows: Freeverb (pedalboard's), overlap-add, and how long each goes on.
Does not know: any particular room.

pedalboard's own convolution rescales the response; this one is ``scipy.signal.oaconvolve``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import DEFAULT_BLOCK, Audio, check_length
from backend.media.resampling import resampled
from backend.plugins import Context, refused
from backend.plugins.files.rules import not_empty
from backend.plugins.files.sound import Block, watched

from .cutting import silence

if TYPE_CHECKING:
    import pedalboard

Wide = NDArray[np.float64]
"""Samples ``[channels, n]`` in double precision."""

LONGEST_RESPONSE: Final = 2**22
"""Frames of an impulse response: 87 s at 48 kHz."""

_COMB_S: Final = 1640 / 44_100
"""Freeverb's longest comb filter, with the spread of the right side."""
_TAIL_DB: Final = 90.0
_BUFFER: Final = 8192
_UNIT_WET: Final = 1.0 / 3.0
"""JUCE, which pedalboard holds, multiplies the wet level by three."""


@dataclass(frozen=True, slots=True)
class Room:
    """Freeverb's parameters, 0 to 1, and how long the room waits."""

    size: float
    damping: float
    width: float
    pre_delay_ms: float

    @property
    def tail_s(self) -> float:
        """How long the slowest comb, whose feedback is 0.7 + 0.28 size, takes to fall by 90 dB."""
        falls_db = -20.0 * math.log10(0.7 + 0.28 * self.size)
        return _COMB_S * (1.0 + _TAIL_DB / falls_db)


def reverb(audio: Audio, room: Room, mix: float, ctx: Context) -> Audio:
    """*audio* in *room*. Raises ``AssetTooLarge`` beyond four hours."""
    not_empty(audio)
    rate = audio.sample_rate
    delay = round(room.pre_delay_ms * 1e-3 * rate)
    tail = delay + round(room.tail_s * rate)
    check_length(audio.frames + tail, rate)
    dry = watched(_with_tail(audio, tail), audio.frames + tail, ctx)
    blocks = _reverberated(dry, audio, room, delay, mix)
    return Audio.from_blocks(blocks, rate, audio.channels)


def _with_tail(audio: Audio, tail: int) -> Iterator[Block]:
    yield from audio.blocks()
    yield from silence(tail, audio.channels)


def _reverberated(
    blocks: Iterable[Block], audio: Audio, room: Room, delay: int, mix: float
) -> Iterator[Block]:
    together = audio.channels if audio.channels <= 2 else 1
    rooms = [_empty(room, audio.sample_rate, together) for _ in range(audio.channels // together)]
    late = np.zeros((audio.channels, delay), np.float32)
    for block in blocks:
        waiting = np.concatenate([late, block], axis=1)
        heard, late = waiting[:, : block.shape[1]], waiting[:, block.shape[1] :]
        wet = [
            _process(each, heard[place : place + together], audio.sample_rate)
            for place, each in zip(range(0, audio.channels, together), rooms, strict=True)
        ]
        yield _mixed(block, np.concatenate(wet), mix)


def _empty(room: Room, sample_rate: int, channels: int) -> pedalboard.Reverb:
    """A room in which nothing has sounded yet.

    pedalboard empties it anew whenever a longer buffer comes than there was before; so it gets the
    longest one first.
    """
    import pedalboard

    made = pedalboard.Reverb(room.size, room.damping, _UNIT_WET, 0.0, room.width)
    _process(made, np.zeros((channels, _BUFFER), np.float32), sample_rate)
    return made


def _process(room: pedalboard.Reverb, block: Block, sample_rate: int) -> Block:
    heard: Block = room.process(
        np.ascontiguousarray(block), sample_rate, buffer_size=_BUFFER, reset=False
    )
    return heard


def _mixed(dry: Block, wet: Wide | Block, mix: float) -> Block:
    both: Block = (dry.astype(np.float64) * (1.0 - mix) + wet * mix).astype(np.float32)
    return both


def convolve(audio: Audio, response: Audio, mix: float, level: str, ctx: Context) -> Audio:
    """*audio* convolved with *response*. Raises `InvalidParameters` for channels that do not go
    together, and a response that is empty, silent (``energy``) or too long; ``AssetTooLarge``."""
    not_empty(audio)
    not_empty(response, "/impulse_response")
    channels = max(audio.channels, response.channels)
    if {audio.channels, response.channels} - {1, channels}:
        told = f"a response of {response.channels} channels does not go with {audio.channels}"
        raise refused("/impulse_response", "channels", told)
    if response.duration_s * audio.sample_rate > LONGEST_RESPONSE:
        most = LONGEST_RESPONSE / audio.sample_rate
        told = f"an impulse response lasts at most {most:.3g} s at this rate"
        raise refused("/impulse_response", "too_long", told)
    taps = _taps(response, audio.sample_rate, level)
    tail = taps.shape[1] - 1
    check_length(audio.frames + tail, audio.sample_rate)
    dry = watched(_with_tail(audio, tail), audio.frames + tail, ctx)
    blocks = _convolved(dry, taps, channels, mix)
    return Audio.from_blocks(blocks, audio.sample_rate, channels)


def _taps(response: Audio, sample_rate: int, level: str) -> Wide:
    """The response at the sound's rate. A filter's gain is a sum over its samples, so at twice the
    rate each counts half."""
    taps = resampled(response, sample_rate).samples.astype(np.float64)
    taps *= response.sample_rate / sample_rate
    if taps.shape[1] == 0:
        told = "at the rate of the sound nothing is left of the impulse response"
        raise refused("/impulse_response", "too_short", told)
    if level == "energy":
        energy = float(np.square(taps).sum(axis=1).max())
        if energy == 0.0:
            raise refused("/impulse_response", "silent", "a silent response has no energy to scale")
        taps /= math.sqrt(energy)
    return taps


def _convolved(blocks: Iterable[Block], taps: Wide, channels: int, mix: float) -> Iterator[Block]:
    """Overlap-add, as long as the stream: what goes beyond the end of it is zeros' work."""
    from scipy.signal import oaconvolve

    length = taps.shape[1]
    beyond = np.zeros((channels, length - 1))
    for block in _gathered(blocks, max(DEFAULT_BLOCK, length)):
        frames = block.shape[1]
        made = np.zeros((channels, frames + length - 1))
        for channel in range(channels):
            made[channel] = oaconvolve(
                block[min(channel, len(block) - 1)].astype(np.float64),
                taps[min(channel, len(taps) - 1)],
            )
        made[:, : length - 1] += beyond
        beyond = made[:, frames:].copy()
        yield _mixed(block, made[:, :frames], mix)


def _gathered(blocks: Iterable[Block], frames: int) -> Iterator[Block]:
    """The same stream in blocks of at least *frames*, but for the last: a long response is dear
    for each block anew."""
    held: list[Block] = []
    for block in blocks:
        held.append(block)
        if sum(part.shape[1] for part in held) >= frames:
            yield np.concatenate(held, axis=1)
            held = []
    if held:
        yield np.concatenate(held, axis=1)
