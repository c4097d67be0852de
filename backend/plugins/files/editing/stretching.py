"""Time and pitch: Rubber Band over programmes of any length, piece by piece.

Knows: how pieces are cut, and how they are joined so that nothing is heard of it.
Does not know: how Rubber Band works (pedalboard holds it).

The pieces overlap. Where two meet, the next one is moved by up to 20 ms to where it looks most like
the one before, and both are crossfaded with gains that keep the power for just that likeness. Each
is moved against the clock of the source, not against the one before it, so that nothing adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio, check_length
from backend.plugins import Context, refused
from backend.plugins.files.rules import not_empty
from backend.plugins.files.sound import Block, watched

PIECE_S: Final = 30.0
_PIECE_SAMPLES: Final = 2**22
"""Of all channels together: bounds the memory of a piece."""
CONTEXT_S: Final = 0.5
SEAM_S: Final = 0.06
SEARCH_S: Final = 0.02
_LEAST: Final = 16384
"""Rubber Band gives nothing for less than a window: shorter pieces are filled up."""
_SPEEDS: Final = (0.25, 4.0)

Stretch = Callable[[Block], Block]
"""One piece ``[channels, n]`` to one of round(n / speed) frames or more."""


def time_stretch(audio: Audio, speed: float, duration_s: float | None, ctx: Context) -> Audio:
    """*audio* at another speed, or of another length. Raises `InvalidParameters` if both are
    given, and for a length that would need a speed beyond a quarter or four times;
    ``AssetTooLarge`` beyond four hours."""
    not_empty(audio)
    frames = max(1, round(audio.frames / speed))
    if duration_s is not None:
        if speed != 1.0:
            raise refused("/duration_s", "exclusive", "give speed or duration_s")
        frames = max(1, round(duration_s * audio.sample_rate))
        speed = audio.frames / frames
        if not _SPEEDS[0] <= speed <= _SPEEDS[1]:
            told = f"the speed would be {speed:.4g}; it is {_SPEEDS[0]:g} to {_SPEEDS[1]:g}"
            raise refused("/duration_s", "range", told)
    check_length(frames, audio.sample_rate)
    if frames == audio.frames:
        return audio
    return _over_pieces(audio, speed, frames, _rubber_band(audio.sample_rate, speed), ctx)


def pitch_shift(audio: Audio, pitch_st: float, preserve_formants: bool, ctx: Context) -> Audio:
    """*audio* at another pitch, of the same length."""
    not_empty(audio)
    if pitch_st == 0.0:
        return audio
    shift = _rubber_band(audio.sample_rate, 1.0, pitch_st, preserve_formants)
    return _over_pieces(audio, 1.0, audio.frames, shift, ctx)


def _rubber_band(
    sample_rate: int, speed: float, pitch_st: float = 0.0, preserve_formants: bool = False
) -> Stretch:
    import pedalboard

    def stretch(piece: Block) -> Block:
        made: Block = pedalboard.time_stretch(
            np.ascontiguousarray(piece),
            sample_rate,
            stretch_factor=speed,
            pitch_shift_in_semitones=pitch_st,
            preserve_formants=preserve_formants,
        )
        return made

    return stretch


def _over_pieces(audio: Audio, speed: float, frames: int, stretch: Stretch, ctx: Context) -> Audio:
    blocks = watched(_pieces(audio, speed, frames, stretch), frames, ctx)
    return Audio.from_blocks(blocks, audio.sample_rate, audio.channels)


def _pieces(audio: Audio, speed: float, frames: int, stretch: Stretch) -> Iterator[Block]:
    """*frames* frames of the stretched sound, a piece at a time."""
    rate = audio.sample_rate
    context, seam = round(CONTEXT_S * rate), round(SEAM_S * rate)
    edges = _edges(audio, context)
    # where in the result a piece begins to take over, and where the last one ends
    cuts = [0, *(round(edge / speed) - seam // 2 for edge in edges[1:-1]), frames]
    held: Block | None = None
    for number, (start, end) in enumerate(pairwise(edges)):
        first = max(0, start - context)
        made = stretch(_read(audio, first, end + context, context))
        given, place = cuts[number], cuts[number] - round(first / speed)
        if held is not None:
            place += _best(held, made, place, round(SEARCH_S * rate))
            yield _crossfaded(held, made[:, place : place + seam])
            given, place = given + seam, place + seam
        until = place + cuts[number + 1] - given
        yield _exactly(made[:, place:until], until - place)
        held = made[:, until : until + seam]


def _edges(audio: Audio, context: int) -> list[int]:
    """Where the pieces begin, and the end of the last one."""
    longest = max(4 * context, _PIECE_SAMPLES // audio.channels)
    count = max(1, round(audio.frames / min(round(PIECE_S * audio.sample_rate), longest)))
    return [number * audio.frames // count for number in range(count + 1)]


def _read(audio: Audio, start: int, end: int, silence: int) -> Block:
    """A part of the sound; at its very end with silence behind it, so that nothing is lost."""
    parts = list(audio.blocks(start=start, end=end))
    missing = max(silence if end >= audio.frames else 0, _LEAST - (end - start))
    parts.append(np.zeros((audio.channels, max(0, missing)), np.float32))
    return np.concatenate(parts, axis=1)


def _best(held: Block, made: Block, place: int, search: int) -> int:
    """By how many frames the next piece is moved: where it is most like what is held."""
    from scipy.signal import correlate

    first = max(0, place - search)
    wanted = held.sum(axis=0, dtype=np.float64)
    found = made[:, first : place + search + len(wanted)].sum(axis=0, dtype=np.float64)
    power = np.cumsum(np.concatenate([[0.0], found**2]))
    energy = power[len(wanted) :] - power[: -len(wanted)]
    likeness = correlate(found, wanted, mode="valid") / np.sqrt(energy + 1e-12)
    return int(np.argmax(likeness)) + first - place


def _crossfaded(ending: Block, beginning: Block) -> Block:
    """Both over each other, at the power that they have: alike or not, or anything between."""
    place = (np.arange(ending.shape[1]) + 0.5) / ending.shape[1]
    one, other = ending.astype(np.float64), beginning.astype(np.float64)
    both = np.sqrt((one**2).sum() * (other**2).sum())
    likeness = float(np.clip((one * other).sum() / both, 0.0, 1.0)) if both > 0 else 1.0
    power = np.sqrt((1 - place) ** 2 + place**2 + 2 * likeness * place * (1 - place))
    mixed: Block = (((1 - place) * one + place * other) / power).astype(np.float32)
    return mixed


def _exactly(block: NDArray[np.float32], frames: int) -> Block:
    missing = frames - block.shape[1]
    return np.pad(block, ((0, 0), (0, missing))) if missing > 0 else block
