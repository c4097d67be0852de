"""Loudness: how loud a programme is, by ITU-R BS.1770-5 and EBU R 128.

Knows: momentary, short-term and integrated loudness, loudness range, and all levels together.
Does not know: the filter (``media.k_weighting``), files, and what a result is called on a door.

Memory: 80 bytes for each second of sound.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from backend.context import LOCAL, Context
from backend.media.audio import Audio
from backend.media.k_weighting import KWeighting
from backend.media.levels import SILENCE_DB, LevelMeter, decibels
from backend.media.true_peak import TruePeakMeter

Values = NDArray[np.float64]

STEP_S: Final = 0.1
"""Seconds from one value of a series to the next."""
_STEPS_PER_S: Final = 100
"""Windows for the maxima move by 10 ms, so that one meets a burst wherever it starts."""
_FINE: Final = 10
_MOMENTARY, _SHORT_TERM = 4, 30
_ABSOLUTE_GATE_LUFS: Final = -70.0
_GATE_LU: Final = -10.0
_RANGE_GATE_LU: Final = -20.0
_LOWEST, _HIGHEST = 0.10, 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Loudness:
    """What the meters say of one programme. Silence, and what is not defined, is -240."""

    integrated_lufs: float
    """Of the whole, gated; -240 too if it is shorter than 400 ms or nowhere above -70 LUFS."""
    momentary_max_lufs: float
    """Of 400 ms; before the programme there is silence, so a shorter one has a value too."""
    short_term_max_lufs: float
    """Of 3 s; before the programme there is silence."""
    range_lu: float
    """EBU Tech 3342; 0 if the programme is shorter than 3 s."""
    true_peak_db: float
    peak_db: float
    rms_db: float
    """Over all channels and samples; a full-scale sine has -3.01."""
    momentary: Values = field(repr=False)
    """LUFS [n] of the 400 ms that end at 0.1 s, 0.2 s …"""
    short_term: Values = field(repr=False)
    """LUFS [n] of the 3 s that end at 0.1 s, 0.2 s …"""


def measure(audio: Audio, ctx: Context = LOCAL) -> Loudness:
    """All levels of *audio*, read once, with progress.

    Raises ``ValueError`` where no loudness is defined: more than 8 channels, less than 1 kHz;
    `Unfit` for samples that are NaN or infinite.
    """
    meter, done = LoudnessMeter(audio.sample_rate, audio.channels), 0
    for block in audio.blocks():
        meter.add(block)
        done += block.shape[1]
        ctx.progress(done, audio.frames)
    return meter.result()


class LoudnessMeter:
    """All levels of one stream. How it is cut into blocks changes nothing."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._levels = LevelMeter()
        self._true_peak = TruePeakMeter(channels)
        self._loudness = ProgrammeLoudness(sample_rate, channels)

    def add(self, block: NDArray[np.floating]) -> None:
        """Take the next samples [channels, n]. Raises `Unfit` if some are no numbers."""
        samples = np.asarray(block, dtype=np.float64)
        self._levels.add(samples)
        self._true_peak.add(samples)
        self._loudness.add(samples)

    def result(self) -> Loudness:
        """What was measured so far."""
        momentary, short_term = (
            self._loudness.series(_MOMENTARY),
            self._loudness.series(_SHORT_TERM),
        )
        momentary_max, short_term_max = self._loudness.maxima()
        return Loudness(
            integrated_lufs=self._loudness.integrated_lufs,
            momentary_max_lufs=lufs(momentary_max),
            short_term_max_lufs=lufs(short_term_max),
            range_lu=_range_lu(short_term[_SHORT_TERM - 1 :]),
            true_peak_db=decibels(self._true_peak.value),
            peak_db=decibels(self._levels.peak),
            rms_db=decibels(self._levels.rms),
            momentary=_lufs_of(momentary),
            short_term=_lufs_of(short_term),
        )


class ProgrammeLoudness:
    """The weighted power of one stream in windows of 400 ms and 3 s."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._weighting = KWeighting(sample_rate, channels)
        self._rest = np.zeros(0)
        self._steps = 0
        self._recent = np.zeros(_SHORT_TERM * _FINE - 1)
        self._unbinned = np.zeros(0)
        self._bins = array("d")
        self._maxima = (0.0, 0.0)

    def add(self, block: Values) -> None:
        """Take the next samples [channels, n], finite."""
        powers = np.concatenate((self._rest, self._weighting.powers(block)))
        # step k begins at the sample nearest to k x 10 ms, at any rate
        start = (self._steps * self._rate + 50) // _STEPS_PER_S
        last = (_STEPS_PER_S * (start + powers.size) + 49) // self._rate
        if last == self._steps:
            self._rest = powers
            return
        edges = (np.arange(self._steps, last + 1) * self._rate + 50) // _STEPS_PER_S - start
        steps = np.add.reduceat(powers[: edges[-1]], edges[:-1]) * (_STEPS_PER_S / self._rate)
        self._rest, self._steps = powers[edges[-1] :].copy(), last
        self._keep(steps)

    @property
    def integrated_lufs(self) -> float:
        """The loudness of all so far, gated; see `Loudness`."""
        return lufs(_integrated(self.series(_MOMENTARY)[_MOMENTARY - 1 :]))

    def maxima(self) -> tuple[float, float]:
        """The largest power of any 400 ms and any 3 s, as if silence followed."""
        if not self._rest.size:
            return self._maxima
        last = self._rest.sum() * (_STEPS_PER_S / self._rate)
        return self._larger(np.append(self._recent, last))

    def series(self, bins: int) -> Values:
        """The power [n] of the windows of *bins* x 100 ms that end at 0.1 s, 0.2 s …"""
        powers = np.concatenate((np.zeros(bins - 1), np.frombuffer(self._bins)))
        return _sliding(powers, bins) if len(self._bins) else np.zeros(0)

    def _keep(self, steps: Values) -> None:
        recent = np.concatenate((self._recent, steps))
        self._maxima = self._larger(recent)
        self._recent = recent[recent.size - self._recent.size :].copy()
        steps = np.concatenate((self._unbinned, steps))
        whole = steps.size // _FINE * _FINE
        self._bins.extend(steps[:whole].reshape(-1, _FINE).mean(axis=1))
        self._unbinned = steps[whole:].copy()

    def _larger(self, recent: Values) -> tuple[float, float]:
        momentary = _sliding(recent[(_SHORT_TERM - _MOMENTARY) * _FINE :], _MOMENTARY * _FINE)
        short_term = _sliding(recent, _SHORT_TERM * _FINE)
        return max(self._maxima[0], momentary.max()), max(self._maxima[1], short_term.max())


def _integrated(powers: Values) -> float:
    """The gated mean of the *powers* [n] of 400 ms each 100 ms (BS.1770-5, equations 4 to 7)."""
    above = powers[powers > _power(_ABSOLUTE_GATE_LUFS)]
    if not above.size:
        return 0.0
    return float(above[above > above.mean() * 10 ** (_GATE_LU / 10)].mean())


def _range_lu(powers: Values) -> float:
    """LU between the 10 % and 95 % points of the *powers* [n] of 3 s each 100 ms (Tech 3342)."""
    above = powers[powers >= _power(_ABSOLUTE_GATE_LUFS)]
    if not above.size:
        return 0.0
    heard = np.sort(above[above >= above.mean() * 10 ** (_RANGE_GATE_LU / 10)])
    low, high = (heard[round((heard.size - 1) * part)] for part in (_LOWEST, _HIGHEST))
    return float(10 * np.log10(high / low))


def lufs(power: float) -> float:
    """A weighted power in LUFS, not below -240 (BS.1770-5, equation 2)."""
    return float(_lufs_of(np.array([power]))[0])


def _lufs_of(powers: Values) -> Values:
    least = _power(SILENCE_DB)
    return np.where(powers > least, -0.691 + 10 * np.log10(np.maximum(powers, least)), SILENCE_DB)


def _power(loudness_lufs: float) -> float:
    return float(10 ** ((loudness_lufs + 0.691) / 10))


def _sliding(powers: Values, width: int) -> Values:
    # not by running sums: those never get back to nothing after something loud
    return np.asarray(sliding_window_view(powers, width).mean(axis=1))
