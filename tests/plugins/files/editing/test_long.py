"""Hours of sound: edited in constant memory, watched, and stopped when asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest

from backend.context import Cancelled, Context
from backend.media.audio import IN_MEMORY, Audio
from backend.plugins.files.editing.operations import concat, fade, pad, reverse

EDITS: dict[str, Callable[[Audio, Context], Any]] = {
    "pad": lambda sound, ctx: pad(sound, 1.0, 1.0, ctx=ctx),
    "reverse": lambda sound, ctx: reverse(sound, ctx=ctx),
    "fade": lambda sound, ctx: fade(sound, 900.0, 900.0, ctx=ctx),
    "concat": lambda sound, ctx: concat([sound, sound], 30.0, ctx=ctx),
}


def test_a_long_crossfade_needs_no_memory_of_its_own():
    """A minute of four channels at 48 kHz, 46 MB, fades into the next with less than 16 MiB: both
    are read while it is made."""
    block = np.zeros((4, 48_000), np.float32)
    sound = Audio.from_blocks((block for _ in range(70)), 48_000, 4)
    process, most = psutil.Process(), 0
    concat([sound, sound], 1.0)  # what is imported and kept once is none of it
    before = process.memory_full_info().uss

    def watch(done: float, total: float, node: str | None) -> None:
        nonlocal most
        # the result itself stays in memory until it is so long that a file takes it
        if done * 16 > 1.2 * IN_MEMORY:
            most = max(most, process.memory_full_info().uss - before)

    made = concat([sound, sound], 60.0, ctx=Context(on_progress=watch))
    assert made.duration_s == 80.0
    assert 0 < most < 16 * 2**20


@pytest.mark.parametrize("name", EDITS)
def test_an_hour_is_edited_in_constant_memory(hours: Callable[[float], Audio], name: str):
    """An hour, 115 MB of samples, adds under 40 MiB of private memory, and progress rises to 1."""
    process, seen, most = psutil.Process(), [0.0], 0
    sound = hours(1.0)
    before = process.memory_full_info().uss

    def watch(done: float, total: float, node: str | None) -> None:
        nonlocal most
        seen.append(done / total)
        if len(seen) % 50 == 0:
            most = max(most, process.memory_full_info().uss - before)

    EDITS[name](sound, Context(on_progress=watch))
    assert most < 40 * 2**20
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 100


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_ends_when_it_is_cancelled(hours: Callable[[float], Audio], name: str):
    """The run stops at the next block and leaves no half of a file."""
    sound, calls = hours(0.5), 0

    def watch(done: float, total: float, node: str | None) -> None:
        nonlocal calls
        calls += 1

    with pytest.raises(Cancelled):
        EDITS[name](sound, Context(on_progress=watch, is_cancelled=lambda: calls >= 3))
    assert calls == 3
