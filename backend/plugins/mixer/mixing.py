"""A mix from its document: the console, the master behind it, and all that is kept of both.

Knows: the rate of the bus, the master, the results and their files, meters, progress.
Does not know: how strips are summed (``console``), nor what sections do.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from backend.media.audio import IN_MEMORY, AudioWriter, check_length
from backend.media.finite import Unfit
from backend.media.k_weighting import LOWEST_RATE_HZ
from backend.media.levels import LARGEST
from backend.plugins import Context, FieldError, InvalidParameters, json_pointer, refused

from .channels import master_rack
from .console import Console
from .document import MixDoc
from .dsp.delay import frames_held
from .dsp.sections import Block
from .gauges import Gauge, LevelGauge, LoudnessGauge
from .panning import MOST_CHANNELS
from .results import Meters, MixResult
from .settings import Settings
from .signals import FRAMES, Stream

MOST_HELD: Final = 2**30
"""Bytes that the delays of a mix may hold together."""


def mix(
    document: MixDoc,
    *,
    stems: bool,
    loudness: Literal["master", "all"],
    picture: bool,
    ctx: Context,
) -> MixResult:
    """Mix *document*. Raises `InvalidParameters` for a source of more than 8 channels, for delays
    that hold too much and a rate that has no loudness, `AssetTooLarge` for a mix that lasts too
    long, `Unfit` for a source that is not made of numbers and for a sum beyond 32-bit float.
    """
    rate = document.sample_rate or max(each.source.sample_rate for each in document.strips)
    _check_channels(document)
    _check_rate(rate)
    _check_delays(document, rate)
    run = _Run(document, rate, stems, loudness == "all", ctx)
    run.all()
    result = run.result()
    if not picture:
        return result
    from . import meter_picture

    names = {strip.id: strip.name for strip in document.strips}
    names |= {bus.id: bus.name for bus in document.buses}
    return result._replace(meters_picture=meter_picture.draw(result.meters, names))


class _Run:
    """One mix while it is made."""

    def __init__(self, mix: MixDoc, rate: int, stems: bool, loudness: bool, ctx: Context) -> None:
        self._rate, self._ctx = rate, ctx

        def gauge() -> Gauge:
            return LoudnessGauge(rate) if loudness else LevelGauge()

        self._console = Console(mix, rate, gauge, ctx)
        check_length(self._console.frames, rate)
        self._master = master_rack(mix.master, Settings(rate), {s.id: s for s in mix.strips})
        self._gauge, self._gauge_before = LoudnessGauge(rate), gauge()
        kept = self._console.names if stems else []
        # together they keep no more in memory than one alone may
        share = IN_MEMORY // (2 + len(kept))
        self._stems = {name: AudioWriter(rate, 2, share) for name in kept}
        self._before, self._after = (AudioWriter(rate, 2, share) for _ in range(2))

    def all(self) -> None:
        """Mix from start to end."""
        frames = self._console.frames
        with ExitStack() as open_files:
            for writer in (self._before, self._after, *self._stems.values()):
                open_files.enter_context(writer)
            blocks = open_files.enter_context(closing(self._sums()))
            signal = self._master.behind(Stream(blocks, 2))
            for start in range(0, frames, FRAMES):
                block = signal.take(min(FRAMES, frames - start))
                self._after.write(self._rounded(block, start, "master"))
                self._gauge.add(block)
                self._ctx.progress(start + block.shape[1], frames)

    def _sums(self) -> Generator[Block]:
        """The console's blocks; each is measured and kept on its way to the master."""
        start = 0
        for block in self._console.blocks(self._keep_stem):
            if self._master.sections:
                self._before.write(self._rounded(block, start, "pre_master"))
                self._gauge_before.add(block)
            start += block.shape[1]
            yield block

    def _keep_stem(self, name: str, block: Block) -> None:
        if self._stems:
            start = self._stems[name].frames
            self._stems[name].write(self._rounded(block, start, "stems", name))

    def _rounded(self, block: Block, start: int, *output: str) -> npt.NDArray[np.float32]:
        if not max(float(block.max()), -float(block.min())) <= LARGEST:
            between = f"{start / self._rate:.1f} s and {(start + FRAMES) / self._rate:.1f} s"
            told = f"the mix is larger than 32-bit float can hold, between {between}"
            error = Unfit(told, "audio")
            error.point_at(json_pointer(*output))
            raise error
        return block.astype(np.float32)

    def result(self) -> MixResult:
        """What was made."""
        master = self._after.audio()
        untouched = not self._master.sections
        meters = self._meters(untouched)
        return MixResult(
            master=master,
            pre_master=master if untouched else self._before.audio(),
            stems={name: writer.audio() for name, writer in self._stems.items()},
            meters=meters,
            meters_picture=None,
            peak_db=meters.master.peak_db,
        )

    def _meters(self, untouched: bool) -> Meters:
        before = self._gauge if untouched else self._gauge_before
        return Meters(
            strips={each.id: each.gauge.level(each.reductions) for each in self._console.strips},
            buses={each.id: each.gauge.level(each.reductions) for each in self._console.buses},
            pre_master=before.level({}),
            master=self._gauge.level(self._master.reductions),
        )


def _check_channels(mix: MixDoc) -> None:
    errors = [
        FieldError(
            f"/mix/strips/{index}/source",
            "channels",
            f"{strip.source.channels} channels; at most {MOST_CHANNELS} can be mixed",
        )
        for index, strip in enumerate(mix.strips)
        if strip.source.channels > MOST_CHANNELS
    ]
    if errors:
        raise InvalidParameters("A source has too many channels", errors=errors)


def _check_rate(rate: int) -> None:
    """Refuse what only a graph can bring: a file's rate is checked when it comes in."""
    if rate < LOWEST_RATE_HZ:
        told = f"the sources have at most {rate} Hz, of which no levels are defined: give a rate"
        raise refused("/mix/sample_rate", "minimum", told)


def _check_delays(mix: MixDoc, rate: int) -> None:
    """Refuse echoes that memory could not hold: a number of echoes is that many lines of sound."""
    delays = [(strip.delay, strip.source.channels) for strip in mix.strips]
    delays += [(bus.delay, 2) for bus in mix.buses]
    settings = Settings(rate)
    held = sum(
        frames_held(settings.delay(delay), rate) * channels * np.dtype(np.float64).itemsize
        for delay, channels in delays
        if delay is not None
    )
    if held > MOST_HELD:
        told = (
            f"the delays of this mix would hold {held / 2**30:.1f} GiB of sound, and may hold "
            f"{MOST_HELD / 2**30:.0f}: take fewer echoes, shorter times or a lower sample rate"
        )
        raise refused("/mix/strips", "memory", told)
