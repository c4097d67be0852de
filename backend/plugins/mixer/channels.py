"""Strips, sub-buses and the master as signals: which section follows which.

Knows: the order of sections (docs/dsp.md, section 1), sends, keys, and what is left out because it
changes nothing.
Does not know: what a section does, how strips are summed (``console``), nor levels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from . import inserts
from .document import Bus, Master, Send, Strip
from .dsp.compressor import Compressor
from .dsp.delay import Delay
from .dsp.drive import Drive
from .dsp.equalizer import Equalizer
from .dsp.gate import Gate
from .dsp.limiter import Limiter
from .dsp.parameters import EqualizerSettings, Parameter, is_constant
from .dsp.sections import Block, Meter, Section
from .dsp.stereo import Balance, Gain, Placement, Width
from .inserts import STRIP_KEY
from .settings import Settings
from .signals import Keyed, Signal, Source, Through

Sources = Mapping[str, Strip]
"""Strips by id, whose sources a compressor may follow."""


class Rack:
    """Sections one after another, with the meters of those that reduce gain.

    *channels* stays the same from the first section to the last.
    """

    def __init__(self, settings: Settings, channels: int, sources: Sources) -> None:
        self.sections: list[Section] = []
        self.reductions: dict[str, Meter] = {}
        self.tail = 0
        self._settings, self._channels, self._sources = settings, channels, sources

    def behind(self, signal: Signal) -> Signal:
        """*signal* after all sections."""
        for section in self.sections:
            signal = Through(signal, section)
        return signal

    def gate(self, gate: inserts.Gate | None) -> None:
        """Add a gate, if there is one."""
        if gate is not None:
            section = Gate(self._settings.gate(gate), self._settings.rate, self._channels)
            self.reductions["gate"] = section.meter
            self.sections.append(section)

    def compressor(self, compressor: inserts.Compressor | None) -> None:
        """Add a compressor, if there is one, with its key."""
        if compressor is None:
            return
        settings = self._settings.compressor(compressor)
        section = Compressor(settings, self._settings.rate, self._channels)
        self.reductions["compressor"] = section.meter
        if compressor.key is None:
            self.sections.append(section)
        else:
            strip = self._sources[compressor.key.removeprefix(STRIP_KEY)]
            self.sections.append(Keyed(section, source_of(strip, self._settings.rate)))

    def equalizer(self, settings: EqualizerSettings) -> None:
        """Add an equalizer, unless it is neutral."""
        if not settings.is_neutral:
            self.sections.append(Equalizer(settings, self._settings.rate, self._channels))

    def delay(self, delay: inserts.Delay | None) -> None:
        """Add a delay, if there is one and it is ever heard."""
        settings = None if delay is None else self._settings.delay(delay)
        if settings is None or settings.is_neutral:
            return
        section = Delay(settings, self._settings.rate, self._channels)
        self.tail = section.tail_frames
        self.sections.append(section)

    def level(
        self, control: inserts.Control, neutral: float, section: Callable[[Parameter], Section]
    ) -> None:
        """Add a section of one control, unless that is the number *neutral*."""
        parameter = self._settings.of(control)
        if not is_constant(parameter, neutral):
            self.sections.append(section(parameter))


def source_of(strip: Strip, rate: int) -> Source:
    """A strip's source at the rate of the bus, from its start."""
    return Source(strip.source, rate)


@dataclass(frozen=True, slots=True)
class StripBlock:
    """What a strip gives at a time: its way to the master, and to buses by id; float64 [2, n]."""

    main: Block
    sends: list[tuple[str, Block]] = field(default_factory=list)


class StripSignal:
    """A strip from its source to its fader and its sends."""

    def __init__(self, strip: Strip, settings: Settings, sources: Sources) -> None:
        channels = strip.source.channels
        rack = Rack(settings, channels, sources)
        rack.gate(strip.gate)
        rack.compressor(strip.compressor)
        rack.equalizer(settings.equalizer(strip.eq))
        rack.delay(strip.delay)
        self.reductions, self.tail = rack.reductions, rack.tail
        self._signal = rack.behind(source_of(strip, settings.rate))
        self._sends = [(send, Gain(settings.of(send.gain_db))) for send in strip.sends]
        fader, pan = settings.of(strip.fader_db), settings.of(strip.pan)
        # two steps only where something is taken between them
        between = any(send.pre_fader for send in strip.sends)
        self._placement = Placement(channels, pan, 0.0 if between else fader)
        self._fader = Gain(fader) if between else None
        self._position = 0

    def take(self, frames: int) -> StripBlock:
        """The next *frames* frames."""
        block = self._placement.process(self._signal.take(frames), self._position)
        before = [self._sent(send, gain, block) for send, gain in self._sends if send.pre_fader]
        if self._fader is not None:
            block = self._fader.process(block, self._position)
        after = [self._sent(send, gain, block) for send, gain in self._sends if not send.pre_fader]
        self._position += frames
        return StripBlock(block, before + after)

    def _sent(self, send: Send, gain: Gain, block: Block) -> tuple[str, Block]:
        return send.bus, gain.process(block.copy(), self._position)


def bus_rack(bus: Bus, settings: Settings) -> Rack:
    """The sections of a sub-bus."""
    rack = Rack(settings, 2, {})
    rack.equalizer(settings.equalizer(bus.eq))
    rack.delay(bus.delay)
    rack.level(bus.fader_db, 0.0, Gain)
    return rack


def master_rack(master: Master, settings: Settings, sources: Sources) -> Rack:
    """The sections of the master bus."""
    rack = Rack(settings, 2, sources)
    rack.equalizer(EqualizerSettings(high_pass_hz=settings.maybe(master.high_pass_hz)))
    if master.drive is not None:
        rack.sections.append(Drive(settings.of(master.drive), 2))
    rack.equalizer(EqualizerSettings(low_pass_hz=settings.maybe(master.low_pass_hz)))
    rack.gate(master.gate)
    rack.compressor(master.compressor)
    rack.equalizer(settings.equalizer(master.eq))
    rack.level(master.width, 1.0, Width)
    rack.level(master.balance, 0.0, Balance)
    rack.level(master.volume_db, 0.0, Gain)
    if master.limiter is not None:
        limiter = Limiter(settings.limiter(master.limiter), settings.rate, 2)
        rack.reductions["limiter"] = limiter.meter
        rack.sections.append(limiter)
    return rack
