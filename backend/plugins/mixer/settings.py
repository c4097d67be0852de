"""From the document's controls to what the sections are told: curves at the rate of the bus.

Knows: how each model's fields become the settings of its section.
Does not know: what the sections do with them, nor the order of sections.
"""

from __future__ import annotations

from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.media.curves import as_points

from . import inserts
from .dsp.parameters import (
    BandSettings,
    CompressorSettings,
    Curve,
    DelaySettings,
    EqualizerSettings,
    GateSettings,
    LimiterSettings,
    Parameter,
)
from .inserts import Control


class Settings:
    """Makes settings for a bus at one sample rate."""

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def of(self, control: Control) -> Parameter:
        """A control as a number, or as a curve with positions in samples."""
        if isinstance(control, Breakpoints | Automation):
            return Curve(*as_points(control, self.rate))
        return float(control)

    def maybe(self, control: Control | None) -> Parameter | None:
        """The same for a control that may be absent."""
        return None if control is None else self.of(control)

    def gate(self, gate: inserts.Gate) -> GateSettings:
        """Settings of a gate."""
        return GateSettings(
            threshold_db=self.of(gate.threshold_db),
            hysteresis_db=self.of(gate.hysteresis_db),
            range_db=self.of(gate.range_db),
            attack_ms=self.of(gate.attack_ms),
            hold_ms=self.of(gate.hold_ms),
            release_ms=self.of(gate.release_ms),
            lookahead_ms=self.of(gate.lookahead_ms),
        )

    def compressor(self, compressor: inserts.Compressor) -> CompressorSettings:
        """Settings of a compressor; its key is not among them."""
        return CompressorSettings(
            threshold_db=self.of(compressor.threshold_db),
            ratio=self.of(compressor.ratio),
            knee_db=self.of(compressor.knee_db),
            attack_ms=self.of(compressor.attack_ms),
            release_ms=self.of(compressor.release_ms),
            makeup_db=self.of(compressor.makeup_db),
            range_db=self.maybe(compressor.range_db),
            hold_ms=self.of(compressor.hold_ms),
            lookahead_ms=self.of(compressor.lookahead_ms),
        )

    def equalizer(self, eq: inserts.Equalizer) -> EqualizerSettings:
        """Settings of an equalizer."""
        return EqualizerSettings(
            high_pass_hz=self.maybe(eq.high_pass_hz),
            low=self._band(eq.low),
            mid=self._band(eq.mid),
            high=self._band(eq.high),
            low_pass_hz=self.maybe(eq.low_pass_hz),
        )

    def _band(self, band: inserts.Band) -> BandSettings:
        return BandSettings(self.of(band.gain_db), self.of(band.frequency_hz), self.of(band.q))

    def delay(self, delay: inserts.Delay) -> DelaySettings:
        """Settings of a delay."""
        return DelaySettings(
            time_s=self.of(delay.time_s),
            echoes=delay.echoes,
            feedback=self.of(delay.feedback),
            mix=self.of(delay.mix),
        )

    def limiter(self, limiter: inserts.Limiter) -> LimiterSettings:
        """Settings of a limiter."""
        return LimiterSettings(
            ceiling_db=self.of(limiter.ceiling_db),
            lookahead_ms=self.of(limiter.lookahead_ms),
            release_ms=self.of(limiter.release_ms),
        )
