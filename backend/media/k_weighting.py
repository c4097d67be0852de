"""K-weighting: how loud a sound is at each sample, as an ear would weigh it.

Knows: the filter of ITU-R BS.1770-5, Annex 1, at any sample rate, and the weights of channels.
Does not know: windows and gates (``media.loudness``).

The recommendation gives coefficients for 48 kHz and asks of other rates for the same response. So
each stage keeps its poles (p becomes p^(48000/rate), as in impulse invariance), and its zeros are
found from the response wanted at three frequencies: M. Vicanek, "Matched Second Order Digital
Filters", 2016, equations 26 to 31. It deviates from the response at 48 kHz by less than 0.0003 dB
from 22.05 kHz on, and by 0.023 dB at 8 kHz (bilinear transforms: 0.02 and 0.21 dB).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Polynomial = tuple[float, float, float]

LOWEST_RATE_HZ: Final = 1000
"""Below, nothing is left of the band that the filter is made for."""

_TABLE_RATE: Final = 48000
_STAGES: Final = (
    # tables 1 and 2: the shelf of the head, and the high-pass; numerator, denominator
    (
        (1.53512485958697, -2.69169618940638, 1.19839281085285),
        (1.0, -1.69065929318241, 0.73248077421585),
    ),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
_MIDDLES_HZ: Final = (1680.0, 100.0)

_SURROUND: Final = 1.41
_WEIGHTS: Final[dict[int, tuple[float, ...]]] = {
    1: (1.0,),
    2: (1.0, 1.0),
    3: (1.0, 1.0, 1.0),
    4: (1.0, 1.0, _SURROUND, _SURROUND),
    5: (1.0, 1.0, 1.0, _SURROUND, _SURROUND),
    6: (1.0, 1.0, 1.0, 0.0, _SURROUND, _SURROUND),
    7: (1.0, 1.0, 1.0, 0.0, 1.0, _SURROUND, _SURROUND),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, _SURROUND, _SURROUND),
}
MOST_CHANNELS: Final = max(_WEIGHTS)


def weights(channels: int) -> tuple[float, ...]:
    """What the power of each channel counts, in WAVE's order (BS.1770-5, tables 3 and 4).

    Surrounds at 60 to 120 degrees count 1.41, the low-frequency channel nothing, all others 1: of
    6.1 and 7.1 the back channels are others. Raises ``ValueError`` for more than 8 channels.
    """
    if channels not in _WEIGHTS:
        raise ValueError(f"loudness is defined for 1 to {MOST_CHANNELS} channels, not {channels}")
    return _WEIGHTS[channels]


def sections(sample_rate: int) -> Values:
    """Both stages as second-order sections [2, 6]. Raises ``ValueError`` below 1 kHz."""
    if sample_rate < LOWEST_RATE_HZ:
        raise ValueError(
            f"loudness is defined from {LOWEST_RATE_HZ} Hz on; this is at {sample_rate} Hz"
        )
    stages = zip(_STAGES, _MIDDLES_HZ, strict=True)
    return np.array([_at(sample_rate, b, a, middle_hz) for (b, a), middle_hz in stages])


class KWeighting:
    """The weighted power of one stream, sample by sample."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._weights = weights(channels)
        self._sections = sections(sample_rate)
        self._state = np.zeros((2, channels, 2))

    def powers(self, block: Values) -> Values:
        """The sum of the filtered channels' squares [n], each with its weight, of [channels, n]."""
        from scipy.signal import sosfilt

        if not (self._state.any() or block.any()):
            return np.zeros(block.shape[1])
        filtered, self._state = sosfilt(self._sections, block, axis=1, zi=self._state)
        # a decay into numbers of reduced precision takes ten times as long to calculate
        self._state[np.abs(self._state) < 1e-60] = 0.0
        np.square(filtered, out=filtered)
        summed: Values = self._weights[0] * filtered[0]
        for weight, channel in zip(self._weights[1:], filtered[1:], strict=True):
            channel *= weight
            summed += channel
        return summed


def _at(rate: int, b: Polynomial, a: Polynomial, middle_hz: float) -> list[float]:
    """One stage [6] at another rate, the response kept at 0, *middle_hz* and near the end.

    In Python's own floats, so that it is the same in every process to the last bit.
    """
    if rate == _TABLE_RATE:
        return [*b, *a]
    end_hz = 0.45 * min(rate, _TABLE_RATE)
    poles = _with_poles_to_the_power(a, _TABLE_RATE / rate)
    frequencies = (0.0, min(middle_hz, 0.4 * end_hz), end_hz)
    wanted = [
        _magnitude(b, f / _TABLE_RATE)
        / _magnitude(a, f / _TABLE_RATE)
        * _magnitude(poles, f / rate)
        for f in frequencies
    ]
    return [*_with_magnitudes(wanted, [f / rate for f in frequencies]), *poles]


def _with_poles_to_the_power(a: Polynomial, exponent: float) -> Polynomial:
    """1 + a1/z + a2/z² with both of its zeros raised to a power."""
    _, a1, a2 = a
    root = cmath.sqrt(a1 * a1 - 4 * a2)
    one, other = (((-a1 + sign * root) / 2) ** exponent for sign in (1, -1))
    return 1.0, -(one + other).real, (one * other).real


def _shapes(frequency: float) -> tuple[float, float, float]:
    """The three functions that the squared magnitude of c0 + c1/z + c2/z² is a sum of."""
    sine = math.sin(math.pi * frequency) ** 2
    return 1 - sine, sine, 4 * sine * (1 - sine)


def _magnitude(c: Polynomial, frequency: float) -> float:
    """The squared magnitude of c0 + c1/z + c2/z² at *frequency*, in parts of the rate."""
    c0, c1, c2 = c
    parts = (c0 + c1 + c2) ** 2, (c0 - c1 + c2) ** 2, -4 * c0 * c2
    return sum(part * shape for part, shape in zip(parts, _shapes(frequency), strict=True))


def _with_magnitudes(wanted: Sequence[float], frequencies: Sequence[float]) -> Polynomial:
    """The c0 + c1/z + c2/z² with these squared magnitudes, the first at 0, and zeros inside."""
    first = wanted[0]
    (low0, low1, low2), (high0, high1, high2) = (_shapes(f) for f in frequencies[1:])
    low, high = wanted[1] - low0 * first, wanted[2] - high0 * first
    whole = low1 * high2 - low2 * high1
    second, third = (low * high2 - low2 * high) / whole, (low1 * high - low * high1) / whole
    plus, minus = math.sqrt(max(first, 0.0)), math.sqrt(max(second, 0.0))
    half = (plus + minus) / 2
    c0 = (half + math.sqrt(max(half * half + third, 0.0))) / 2
    return c0, (plus - minus) / 2, -third / (4 * c0)
