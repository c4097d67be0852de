"""Turns: long work on the event loop, in slices, so that others are answered in between.

Knows: the loop's clock.
Does not know: what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

SLICE_S: Final = 0.01
R = TypeVar("R")


class Turns:
    """``await turns.give()`` within a loop lets others run whenever a slice is over."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()

    async def give(self) -> None:
        if self._loop.time() - self._begun >= SLICE_S:
            await asyncio.sleep(0)
            self._begun = self._loop.time()


def from_thread(function: Callable[..., R], seconds: float) -> Callable[..., R]:
    """*function* for another thread: it is called on the running loop, once for equal arguments.

    Raises what it raises, and ``TimeoutError`` if the loop does not come to it in *seconds*.
    """
    loop = asyncio.get_running_loop()
    known: dict[tuple[Any, ...], R] = {}

    async def call(*arguments: Any) -> R:
        return function(*arguments)

    def ask(*arguments: Any) -> R:
        if arguments not in known:
            asked = asyncio.run_coroutine_threadsafe(call(*arguments), loop)
            known[arguments] = asked.result(seconds)
        return known[arguments]

    return ask
