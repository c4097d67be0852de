"""The knobs that ``InternodeAudioMixer`` has in older graphs, and what becomes of them.

Knows: names, ranges, defaults, and the published conversion of each.
Does not know: ComfyUI, nor how a graph's inputs reach it (``nodes``).

A knob ends in the number of its track, or begins with ``master_``:

=========================  ==============  =======  ===============================================
knob                       range           default  becomes
=========================  ==============  =======  ===============================================
vol_i                      0 … 1.5         .75      fader: 20 log10(v) dB, 0 is silence
pan_i                      −1 … 1          0        pan
eq_low/mid/high_i          0 … 3           1        band gain: 20 log10(v) dB, ≤ .001 is −60 dB
gate_i                     0 … 1           0        gate: threshold 20 log10(.1 g) dB; 0 is off
comp_i                     0 … 1           0        compressor: threshold −5 − 25 c dB, ratio
                                                    1 + 4 c, make-up 20 log10(1 + c / 2) dB; 0: off
d_time_i                   .01 … 2 s       .35      delay time
d_fb_i                     0 … .95         .4       feedback
d_mix_i                    0 … 1           0        delay mix; ≤ .01 is off
d_echo_i                   1 … 16          4        number of echoes
mute_i, solo_i             off, on         off      mute, solo
master_vol                 0 … 2           1        volume: 20 log10(v) dB, 0 is silence
master_gate, master_comp   0 … 1           0        as gate_i, comp_i
master_eq_low/mid/high     0 … 3           1        as eq_low_i …
master_balance             −1 … 1          0        balance
master_width               0 … 2           1        width
master_drive               0 … 1           0        drive; 0 is off
master_locut               20 … 200 Hz     20       high-pass; 20 is off
master_hicut               8000 … 20000    20000    low-pass in Hz; 20000 is off
master_ceil                .1 … 1          1        limiter: ceiling 20 log10(v) dBTP; 1 is off
=========================  ==============  =======  ===============================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from .document import SILENT_DB

TRACKS: Final = 8
LOWEST_BAND_DB: Final = -60.0


def linear_to_db(gain: float) -> float:
    """A linear gain or level, above 0, in decibels."""
    return 20.0 * math.log10(gain)


def fader_db(knob: float) -> float:
    """A volume knob as a fader: 0 is its bottom."""
    return max(SILENT_DB, linear_to_db(knob)) if knob > 0.0 else SILENT_DB


def band_db(knob: float) -> float:
    """An EQ knob as a band's gain."""
    return linear_to_db(knob) if knob > 0.001 else LOWEST_BAND_DB


def gate(knob: float) -> dict[str, float] | None:
    """A gate knob as a gate; None is off."""
    return {"threshold_db": fader_db(0.1 * knob)} if knob > 0.0 else None


def compressor(knob: float) -> dict[str, float] | None:
    """A compressor knob as a compressor; None is off."""
    if knob <= 0.0:
        return None
    return {
        "threshold_db": -5.0 - 25.0 * knob,
        "ratio": 1.0 + 4.0 * knob,
        "makeup_db": linear_to_db(1.0 + 0.5 * knob),
    }


def drive(knob: float) -> float | None:
    """A drive knob as drive; None is off."""
    return knob if knob > 0.0 else None


def high_pass(knob: float) -> float | None:
    """A low-cut knob in Hz; None is off."""
    return knob if knob > 20.0 else None


def low_pass(knob: float) -> float | None:
    """A high-cut knob in Hz; None is off."""
    return knob if knob < 20000.0 else None


def limiter(knob: float) -> dict[str, float] | None:
    """A ceiling knob as a limiter; None is off."""
    return {"ceiling_db": linear_to_db(knob)} if knob < 1.0 else None


class Knob(NamedTuple):
    """One knob: its range and default (both bool for a switch), its place in a strip or in the
    master, and its conversion."""

    low: float
    high: float
    default: float
    place: str
    convert: Callable[[Any], Any] | None = None


STRIP_KNOBS: Final = {
    "vol": Knob(0.0, 1.5, 0.75, "fader_db", fader_db),
    "pan": Knob(-1.0, 1.0, 0.0, "pan"),
    "eq_low": Knob(0.0, 3.0, 1.0, "eq.low.gain_db", band_db),
    "eq_mid": Knob(0.0, 3.0, 1.0, "eq.mid.gain_db", band_db),
    "eq_high": Knob(0.0, 3.0, 1.0, "eq.high.gain_db", band_db),
    "gate": Knob(0.0, 1.0, 0.0, "gate", gate),
    "comp": Knob(0.0, 1.0, 0.0, "compressor", compressor),
    "d_time": Knob(0.01, 2.0, 0.35, "delay.time_s"),
    "d_fb": Knob(0.0, 0.95, 0.4, "delay.feedback"),
    "d_mix": Knob(0.0, 1.0, 0.0, "delay.mix"),
    "d_echo": Knob(1, 16, 4, "delay.echoes"),
    "mute": Knob(False, True, False, "mute"),
    "solo": Knob(False, True, False, "solo"),
}
MASTER_KNOBS: Final = {
    "vol": Knob(0.0, 2.0, 1.0, "volume_db", fader_db),
    "gate": Knob(0.0, 1.0, 0.0, "gate", gate),
    "comp": Knob(0.0, 1.0, 0.0, "compressor", compressor),
    "eq_low": Knob(0.0, 3.0, 1.0, "eq.low.gain_db", band_db),
    "eq_mid": Knob(0.0, 3.0, 1.0, "eq.mid.gain_db", band_db),
    "eq_high": Knob(0.0, 3.0, 1.0, "eq.high.gain_db", band_db),
    "balance": Knob(-1.0, 1.0, 0.0, "balance"),
    "width": Knob(0.0, 2.0, 1.0, "width"),
    "drive": Knob(0.0, 1.0, 0.0, "drive", drive),
    "locut": Knob(20.0, 200.0, 20.0, "high_pass_hz", high_pass),
    "hicut": Knob(8000.0, 20000.0, 20000.0, "low_pass_hz", low_pass),
    "ceil": Knob(0.1, 1.0, 1.0, "limiter", limiter),
}
LEAST_MIX: Final = 0.01
"""A delay mixed in no further than this is off."""


def strip(number: int, source: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The strip that the knobs of track *number* stand for; *given* are knobs by full name, as
    they were turned."""
    made = _turned(STRIP_KNOBS, "{}_" + str(number), given)
    if made["delay"]["mix"] <= LEAST_MIX:
        made["delay"] = None
    return {"id": f"track_{number}", "source": source, **made}


def master(given: Mapping[str, Any]) -> dict[str, Any]:
    """The master bus that the master's knobs stand for."""
    return _turned(MASTER_KNOBS, "master_{}", given)


def _turned(knobs: Mapping[str, Knob], called: str, given: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, knob in knobs.items():
        value = given.get(called.format(name), knob.default)
        holder = made
        *path, last = knob.place.split(".")
        for part in path:
            holder = holder.setdefault(part, {})
        holder[last] = value if knob.convert is None else knob.convert(value)
    return made
