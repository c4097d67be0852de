"""Cutting: parts of a sound, silence around it, and backwards; samples stay what they are.

Knows: where a part begins and ends.
Does not know: levels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backend.media.audio import DEFAULT_BLOCK, Audio, check_length
from backend.plugins import Context, refused
from backend.plugins.files.rules import frames_of, not_empty
from backend.plugins.files.sound import Block, watched


def trim(audio: Audio, start_s: float, end_s: float | None, ctx: Context) -> Audio:
    """*audio* from *start_s* to *end_s*. Raises `InvalidParameters` for an empty part and for one
    that reaches beyond the end."""
    not_empty(audio)
    start = frames_of(start_s, audio)
    end = audio.frames if end_s is None else frames_of(end_s, audio)
    for pointer, place in (("/start_s", start), ("/end_s", end)):
        if place > audio.frames:
            told = f"the sound lasts {audio.duration_s:.6g} s only"
            raise refused(pointer, "beyond_end", told)
    if start >= end:
        pointer = "/start_s" if end_s is None else "/end_s"
        raise refused(
            pointer, "empty_part", "nothing would be left: the end is not after the start"
        )
    blocks = watched(audio.blocks(start=start, end=end), end - start, ctx)
    return Audio.from_blocks(blocks, audio.sample_rate, audio.channels)


def pad(audio: Audio, before_s: float, after_s: float, ctx: Context) -> Audio:
    """*audio* with silence around it. Raises ``AssetTooLarge`` beyond four hours."""
    not_empty(audio)
    before, after = frames_of(before_s, audio), frames_of(after_s, audio)
    check_length(before + audio.frames + after, audio.sample_rate)

    def blocks() -> Iterator[Block]:
        yield from silence(before, audio.channels)
        yield from audio.blocks()
        yield from silence(after, audio.channels)

    whole = watched(blocks(), before + audio.frames + after, ctx)
    return Audio.from_blocks(whole, audio.sample_rate, audio.channels)


def silence(frames: int, channels: int) -> Iterator[Block]:
    """So many frames of nothing, in blocks."""
    for start in range(0, frames, DEFAULT_BLOCK):
        yield np.zeros((channels, min(DEFAULT_BLOCK, frames - start)), np.float32)


def reverse(audio: Audio, ctx: Context) -> Audio:
    """*audio* backwards."""
    not_empty(audio)

    def blocks() -> Iterator[Block]:
        for end in range(audio.frames, 0, -DEFAULT_BLOCK):
            for block in audio.blocks(start=max(0, end - DEFAULT_BLOCK), end=end):
                yield block[:, ::-1]

    backwards = watched(blocks(), audio.frames, ctx)
    return Audio.from_blocks(backwards, audio.sample_rate, audio.channels)
