"""Where a source stands on the stereo bus.

Knows: the pan laws, and how more than two channels are folded to left and right.
Does not know: gain, mute, solo, or samples; it gives a matrix.

Channel orders are WAVE's. More than two channels are folded by ITU-R BS.775-3, annex 4, table 2:
centre and surrounds at -3 dB (1/sqrt 2) to their side, the low-frequency channel left out, a
single back centre at -6 dB to both sides. Nothing is scaled to fit: the bus is float.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

_H: Final = math.sqrt(0.5)
_L, _R, _C, _LFE, _BC = (1.0, 0.0), (0.0, 1.0), (_H, _H), (0.0, 0.0), (0.5, 0.5)
_LS, _RS = (_H, 0.0), (0.0, _H)
_FOLD: Final = {
    2: (_L, _R),
    3: (_L, _R, _C),
    4: (_L, _R, _LS, _RS),
    5: (_L, _R, _C, _LS, _RS),
    6: (_L, _R, _C, _LFE, _LS, _RS),
    7: (_L, _R, _C, _LFE, _BC, _LS, _RS),
    8: (_L, _R, _C, _LFE, _LS, _RS, _LS, _RS),
}
MOST_CHANNELS: Final = max(_FOLD)


def constant_power(pan: float) -> tuple[float, float]:
    """Gains (left, right) of a mono source: L² + R² = 1, -3 dB each at the centre."""
    return math.sin((1.0 - pan) * math.pi / 4), math.sin((1.0 + pan) * math.pi / 4)


def balance(pan: float) -> tuple[float, float]:
    """Gains (left, right) of a stereo source: the far side is lowered, the near one untouched."""
    return 1.0 - max(0.0, pan), 1.0 + min(0.0, pan)


def constant_powers(pan: Matrix) -> Matrix:
    """`constant_power` [2, n] for a pan that moves [n]."""
    return np.stack((np.sin((1.0 - pan) * np.pi / 4), np.sin((1.0 + pan) * np.pi / 4)))


def balances(pan: Matrix) -> Matrix:
    """`balance` [2, n] for a pan that moves [n]."""
    return np.stack((1.0 - np.maximum(0.0, pan), 1.0 + np.minimum(0.0, pan)))


def matrix(channels: int, pan: float) -> Matrix:
    """Coefficients [2, channels] from a source's channels to left and right.

    *pan* runs from -1 (left) to 1 (right). Raises ``KeyError`` above `MOST_CHANNELS`.
    """
    if channels == 1:
        return np.array(constant_power(pan), np.float64).reshape(2, 1)
    fold = np.array(_FOLD[channels], np.float64).T
    return fold * np.array(balance(pan), np.float64)[:, None]
