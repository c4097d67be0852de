"""Tempo: how many beats a minute, and where they lie.

Knows: the autocorrelation of a novelty curve, a preference for moderate tempos, beat tracking.
Does not know: how novelty is measured (``onsets``).

After Daniel P. W. Ellis, "Beat tracking by dynamic programming" (Journal of New Music Research
36, 2007): the autocorrelation at one to four beats, weighted by a normal distribution over the
logarithm of the tempo around 120 BPM; then the chain of moments that are novel and evenly spaced.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from backend.media.audio import Audio
from backend.plugins import Context, refused

from .onsets import Novelty, novelty
from .results import Tempo

Values = NDArray[np.float64]

PREFERRED_BPM: Final = 120.0
_OCTAVES: Final = 0.9
"""The standard deviation of the preference, in octaves of tempo."""
_STEP: Final = 0.002
"""Between two tempos that are tried, in the logarithm of the tempo."""
_MARGIN: Final = 3 * _STEP
_BEATS: Final = 4
_FURTHER: Final = (8, 16, 32)
_TIGHTNESS: Final = 100.0
_FAINT: Final = 0.1
"""Novelty below which a beat at the start or the end is not one any more."""


def tempo(audio: Audio, slowest_bpm: float, fastest_bpm: float, ctx: Context) -> Tempo:
    """The tempo of *audio*; 0 BPM if it is too short or nothing in it repeats.

    Raises `InvalidParameters` for a fastest tempo that is not above the slowest.
    """
    if fastest_bpm <= slowest_bpm:
        told = f"fastest_bpm ({fastest_bpm:g}) has to lie above slowest_bpm ({slowest_bpm:g})"
        raise refused("/fastest_bpm", "range", told)
    curve = novelty(audio, ctx)
    rate = curve.rate_hz
    # 15 ms: players are not more exact than that
    even = gaussian_filter1d(curve.values, 0.015 * rate)
    even = even - uniform_filter1d(even, max(1, round(1.0 * rate)))
    longest = round(60.0 / slowest_bpm * rate)
    if even.size < 3 * longest // 2 or not np.any(even):
        return Tempo(0.0, 0.0, [], [])
    likeness = _autocorrelation(even)
    # not beyond half of the sound: further out too little of it is compared
    # a little beyond the limits, so that a tempo that is one of them is a maximum too
    grid = np.arange(np.log(slowest_bpm) - _MARGIN, np.log(fastest_bpm) + _MARGIN, _STEP)
    bpm = np.exp(grid)
    score = _score(likeness, 60.0 * rate / bpm) * _preference(bpm)
    order = _peaks(score)
    if not order:
        return Tempo(0.0, 0.0, [], [])
    found = [_refined(likeness, 60.0 * rate / float(bpm[each])) for each in order[:5]]
    confidence = float(np.clip(np.interp(found[0], np.arange(likeness.size), likeness), 0.0, 1.0))
    # some are found from both sides
    speeds = list(dict.fromkeys(round(60.0 * rate / period, 2) for period in found))
    return Tempo(speeds[0], round(confidence, 3), speeds[1:], _beats(curve, found[0], ctx))


def _autocorrelation(values: Values) -> Values:
    """The likeness of *values* with themselves later, 1 at 0, for lags up to half the length."""
    size = fft.next_fast_len(2 * values.size, real=True)
    power = np.square(np.abs(fft.rfft(values, size)))
    sums = fft.irfft(power, size)[: values.size // 2]
    means = sums / (values.size - np.arange(sums.size))
    likeness: Values = means / means[0]
    return likeness


def _score(likeness: Values, periods: Values) -> Values:
    """The mean likeness one to four periods later, as far as it is known."""
    lags = periods[:, None] * np.arange(1, _BEATS + 1)
    known = lags <= likeness.size - 1
    read = np.interp(lags, np.arange(likeness.size), likeness)
    mean: Values = np.sum(read * known, axis=1) / np.maximum(1, np.sum(known, axis=1))
    return mean


def _preference(bpm: Values) -> Values:
    away: Values = np.log2(bpm / PREFERRED_BPM) / _OCTAVES
    return np.exp(-0.5 * np.square(away))


def _peaks(score: Values) -> list[int]:
    """Places of local maxima above 0, the highest first."""
    inner = score[1:-1]
    at = 1 + np.flatnonzero((inner > score[:-2]) & (inner >= score[2:]) & (inner > 0.0))
    return [int(each) for each in at[np.argsort(score[at])[::-1]]]


def _refined(likeness: Values, period: float) -> float:
    """*period*, in steps of the curve, made exact by where its multiples peak."""
    for beats in (1, 2, _BEATS, *_FURTHER):
        middle = beats * period
        reach = min(0.25 * period, 0.02 * middle + 2.0)
        first, last = int(middle - reach), int(middle + reach) + 2
        if last >= likeness.size:
            break
        place = first + int(np.argmax(likeness[first:last]))
        if not first < place < last - 1:
            break
        low, top, high = likeness[place - 1 : place + 2]
        bend = low - 2.0 * top + high
        offset = 0.5 * (low - high) / bend if bend < 0.0 else 0.0
        period = (place + float(offset)) / beats
    return period


def _beats(curve: Novelty, period: float, ctx: Context) -> list[float]:
    """The times of beats *period* steps apart, by dynamic programming."""
    spread = float(np.std(curve.values))
    novel = gaussian_filter1d(curve.values / spread, 0.015 * curve.rate_hz)
    steps = np.arange(-round(2.0 * period), -round(0.5 * period) + 1)
    cost = -_TIGHTNESS * np.square(np.log(-steps / period))
    # silence before the start, so that a beat in the first bar has somewhere to come from
    lead = -int(steps[0])
    best = np.concatenate((np.zeros(lead), novel))
    before = np.full(best.size, -1)
    for now in range(lead, best.size):
        if now % 4096 == 0:
            ctx.checkpoint()
        reached = best[now + steps[0] : now + steps[-1] + 1] + cost
        place = int(np.argmax(reached))
        best[now] += reached[place]
        before[now] = now + steps[0] + place
    at = best.size - round(period) + int(np.argmax(best[-round(period) :]))
    chain: list[int] = []
    while at >= lead:
        chain.append(at - lead)
        at = int(before[at])
    # before the first sound and after the last one there is nothing to count
    sounding = [each for each in chain if curve.values[max(0, each - 4) : each + 5].max() > _FAINT]
    if not sounding:
        return []
    return [
        round(float(curve.times_s[each]), 4)
        for each in reversed(chain)
        if sounding[-1] <= each <= sounding[0]
    ]
