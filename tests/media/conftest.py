"""Sounds encoded by PyAV, as callers send them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler

Encode = Callable[..., Path]


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    """``encode("x.mp3", "libmp3lame")``: one second of a 440 Hz sine in that file."""

    def make(name: str, codec: str, *, rate: int = 48_000, channels: int = 2, seconds: float = 1.0):
        path = tmp_path / name
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
        time = np.arange(int(rate * seconds)) / rate
        sine = (0.5 * np.sin(2 * np.pi * 440 * time) * np.ones((channels, 1))).astype(np.float32)
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(codec, rate=rate, layout=layout)
            frame = av.AudioFrame.from_ndarray(sine, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            context = stream.codec_context
            resampler = AudioResampler(
                format=context.format, layout=layout, rate=rate, frame_size=context.frame_size or 0
            )
            for part in (*resampler.resample(frame), *resampler.resample(None)):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
        return path

    return make
