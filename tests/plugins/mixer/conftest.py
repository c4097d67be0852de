"""Short sounds, and mixes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from backend.media.audio import Audio
from backend.plugins.mixer.document import MixDoc, Strip
from backend.plugins.mixer.operations import mix
from backend.plugins.mixer.results import MixResult

RATE = 48000
Samples = npt.NDArray[np.float32]


class Sounds:
    """Makes sounds at 48 kHz, or at another rate."""

    rate = RATE

    def audio(self, samples: Any, rate: int = RATE) -> Audio:
        return Audio.from_samples(np.asarray(samples, np.float32), rate)

    def noise(self, frames: int, channels: int = 2, seed: int = 1, level: float = 0.1) -> Audio:
        made = np.random.default_rng(seed).standard_normal((channels, frames))
        return self.audio(level * made)

    def flat(self, frames: int, level: float = 1.0, channels: int = 2) -> Audio:
        """Samples of one value, so that what comes out of a strip is its gain."""
        return self.audio(np.full((channels, frames), level))

    def sine(
        self, hertz: float, seconds: float, level: float = 0.25, rate: int = RATE, channels: int = 2
    ) -> Audio:
        time = np.arange(round(seconds * rate)) / rate
        return self.audio(np.tile(level * np.sin(2 * np.pi * hertz * time), (channels, 1)), rate)

    def impulse(self, frames: int, at: int = 0, level: float = 1.0) -> Audio:
        made = np.zeros((2, frames), np.float32)
        made[:, at] = level
        return self.audio(made)


@pytest.fixture(scope="session")
def sounds() -> Sounds:
    return Sounds()


Mixed = Callable[..., MixResult]


@pytest.fixture(scope="session")
def mixed() -> Mixed:
    """Mixes strips that are given as fields without an id (or with one), and the rest of a
    document; ``run`` are the operation's own parameters."""

    def mixed(
        *strips: dict[str, Any], run: dict[str, Any] | None = None, **document: Any
    ) -> MixResult:
        made = [Strip(**{"id": f"s{number}", **each}) for number, each in enumerate(strips)]
        return mix(MixDoc(strips=made, **document), **(run or {}))

    return mixed
