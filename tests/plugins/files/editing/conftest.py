"""Sounds to edit, and a folder for what becomes of long ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend import context
from backend.media import audio as audio_module
from backend.media import wav
from backend.media.audio import Audio

RATE = 48_000


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path):
    with context.scratch_in(tmp_path):
        yield


@pytest.fixture
def noise() -> Callable[..., Audio]:
    """``noise(frames, channels)``: the same for equal arguments."""

    def make(frames: int, channels: int = 2, rate: int = RATE) -> Audio:
        values = np.random.default_rng(frames + channels).uniform(-0.5, 0.5, (channels, frames))
        return Audio.from_samples(values, rate)

    return make


@pytest.fixture
def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything over a kilobyte goes through files, as hours of sound do."""
    monkeypatch.setattr(audio_module, "IN_MEMORY", 1000)


@pytest.fixture
def hours(tmp_path: Path) -> Callable[[float], Audio]:
    """``hours(3.5)``: silence of so many hours at 8 kHz, in a file that takes no room."""

    def make(count: float) -> Audio:
        path = tmp_path / f"hours-{len(list(tmp_path.iterdir()))}.wav"
        frames = int(count * 3600 * 8000)
        with wav.WavWriter(path, 8000, 1) as writer:
            writer.frames = frames
        with path.open("r+b") as file:
            file.truncate(wav.DATA_OFFSET + 4 * frames)
        return Audio.open(path)

    return make
