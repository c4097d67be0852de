"""The console: strips and buses summed block by block, by several threads.

Knows: mute and solo, sends to buses, the length of a mix with its tails, and the order of sums.
Does not know: what is inside a strip (``channels``), the master and what is kept (``mixing``).

A thread works on one block of one strip at a time, and blocks are summed in the order of the
document, so the result does not depend on which thread was faster. While whoever asks works on one
block, the strips are already at the next. Memory does not grow with the length.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from backend.media.resampling import length_at
from backend.plugins import Context

from .channels import Rack, StripBlock, StripSignal, bus_rack
from .document import Bus, MixDoc, Strip
from .dsp.sections import Block
from .gauges import Gauge
from .settings import Settings
from .signals import FRAMES

Keep = Callable[[str, Block], None]
"""Takes what a strip or bus, by its id, adds to the sum."""


def audible(strips: Sequence[Strip]) -> list[Strip]:
    """The strips that are heard: not muted, and soloed if any is."""
    soloed = any(strip.solo for strip in strips)
    return [strip for strip in strips if not strip.mute and (strip.solo or not soloed)]


class HeardStrip:
    """A strip that is heard, with its gauge, and its next block as a job."""

    def __init__(self, strip: Strip, signal: StripSignal, gauge: Gauge) -> None:
        self.id, self.reductions = strip.id, signal.reductions
        self.gauge = gauge
        self._signal = signal
        self._job: Future[StripBlock] | None = None

    def start(self, pool: ThreadPoolExecutor, frames: int) -> None:
        """Let the next block be worked on, of which *frames* belong to the mix."""
        self._job = pool.submit(self._work, frames)

    def block(self) -> StripBlock:
        """The block that was started, once it is done."""
        if self._job is None:
            raise RuntimeError("no block was started")
        return self._job.result()

    def _work(self, frames: int) -> StripBlock:
        block = self._signal.take(frames)
        self.gauge.add(block.main)
        return block


class BusSignal:
    """A sub-bus, with its gauge: what is sent to it, block by block, and what becomes of it."""

    def __init__(self, bus: Bus, rack: Rack, gauge: Gauge) -> None:
        self.id, self.reductions, self.tail = bus.id, rack.reductions, rack.tail
        self.gauge = gauge
        self.sent = np.zeros((2, 0))
        self._behind = rack.behind(self)

    def take(self, frames: int) -> Block:
        """What was sent to the bus (no section of a bus has latency, so always one block)."""
        return self.sent

    def block(self) -> Block:
        """What the bus adds to the sum for what was sent to it."""
        block = self._behind.take(self.sent.shape[1])
        self.gauge.add(block)
        return block


class Console:
    """All strips and buses of a mix at one rate."""

    def __init__(self, mix: MixDoc, rate: int, gauge: Callable[[], Gauge], ctx: Context) -> None:
        settings, by_id = Settings(rate), {strip.id: strip for strip in mix.strips}
        self._ctx = ctx
        self.buses = [BusSignal(bus, bus_rack(bus, settings), gauge()) for bus in mix.buses]
        # those that are not heard count for the length too: neither mute nor solo changes it
        signals = {strip.id: StripSignal(strip, settings, by_id) for strip in mix.strips}
        tails = {bus.id: bus.tail for bus in self.buses}
        self.frames = max(
            length_at(strip.source.frames, strip.source.sample_rate, rate)
            + signals[strip.id].tail
            + max((tails[send.bus] for send in strip.sends), default=0)
            for strip in mix.strips
        )
        self.strips = [
            HeardStrip(strip, signals[strip.id], gauge()) for strip in audible(mix.strips)
        ]

    @property
    def names(self) -> list[str]:
        """The ids of what is summed: strips that are heard, then buses."""
        return [*(strip.id for strip in self.strips), *(bus.id for bus in self.buses)]

    def blocks(self, keep: Keep) -> Iterator[Block]:
        """The sum, float64 [2, up to FRAMES], from start to end, once."""
        sizes = [min(FRAMES, left) for left in range(self.frames, 0, -FRAMES)]
        if not sizes:
            return
        threads = max(1, min(os.cpu_count() or 1, len(self.strips)))
        pool = ThreadPoolExecutor(threads, thread_name_prefix="strip")
        try:
            for strip in self.strips:
                strip.start(pool, sizes[0])
            for frames, following in zip(sizes, [*sizes[1:], 0], strict=True):
                yield self._sum(pool, frames, following, keep)
        finally:
            pool.shutdown(cancel_futures=True)

    def _sum(self, pool: ThreadPoolExecutor, frames: int, following: int, keep: Keep) -> Block:
        """One block of the sum; each strip goes on to the *following* frames once it was read."""
        total = np.zeros((2, frames))
        for bus in self.buses:
            bus.sent = np.zeros((2, frames))
        sent = {bus.id: bus.sent for bus in self.buses}
        for strip in self.strips:
            self._ctx.checkpoint()
            block = strip.block()
            if following:
                strip.start(pool, following)
            total += block.main
            keep(strip.id, block.main)
            for bus_id, part in block.sends:
                sent[bus_id] += part
        for bus in self.buses:
            self._ctx.checkpoint()
            added = bus.block()
            total += added
            keep(bus.id, added)
        return total
