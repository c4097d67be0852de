"""Frames of decoded sound, as samples: exact scales, any sample format, any number of channels.

Knows: PyAV's audio frames.
Does not know: files, time stamps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import AudioFrame

_SCALE: Final = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}
_POINTERS: Final = 8
"""From so many planes on, PyAV 18 looks for their end behind FFmpeg's array of pointers to them."""


def to_float(frame: AudioFrame, channels: int) -> NDArray[np.float32]:
    """One frame's samples, float32 ``[channels, n]``; integers are divided by a power of two, so
    24 bits stay exact."""
    many = frame.format.is_planar and channels >= _POINTERS
    array: NDArray[Any] = _interleaved(frame) if many else frame.to_ndarray()
    if many or not frame.format.is_planar:
        array = array.reshape(-1, channels).T
    name = frame.format.name.removesuffix("p")
    if name in ("flt", "dbl"):
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    wide = array.astype(np.float64) - (128.0 if name == "u8" else 0.0)
    floats: NDArray[np.float32] = (wide / _SCALE[name]).astype(np.float32)
    return floats


def _interleaved(frame: AudioFrame) -> NDArray[Any]:
    """The samples of a frame of many planes, ``[1, n x channels]``."""
    from av.audio.resampler import AudioResampler

    packed = frame.format.packed
    whole = AudioResampler(packed, frame.layout, frame.sample_rate)
    parts = [part.to_ndarray() for part in (*whole.resample(frame), *whole.resample(None))]
    return np.concatenate(parts, axis=1)
