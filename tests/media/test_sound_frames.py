"""Frames of decoded sound: every sample format at its exact scale, any number of channels."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler

from backend.media.sound_frames import to_float

LAYOUTS = ["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"]
SCALES = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0}


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("form", ["u8", "u8p", "s16", "s16p", "s32", "s32p", "flt", "fltp"])
def test_samples_are_exact_in_every_format(form: str, channels: int):
    """Interleaved or in planes, of which eight are as many as FFmpeg's frame has pointers."""
    steps = np.arange(channels * 50).reshape(channels, 50) - channels * 25
    wanted = (steps / 2**9).astype(np.float32) if "u8" not in form else (steps / 2**7 / 4)
    if "u8" in form:
        wanted = np.rint(wanted * 2**7) / 2**7
    packed = np.ascontiguousarray(wanted.T, dtype=np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=LAYOUTS[channels - 1])
    frame.sample_rate = 48_000
    (converted,) = AudioResampler(form, LAYOUTS[channels - 1], 48_000).resample(frame)
    assert converted.format.name == form
    assert np.array_equal(to_float(converted, channels), wanted.astype(np.float32))
