"""Row: loudness against pyloudnorm.

Knows: a programme with loud and quiet parts, and the cases of EBU Tech 3341 that both can measure.
Does not know: how either measures.

Both sides have the samples in memory and are measured in turns, on one thread. pyloudnorm gives
integrated loudness and nothing else; Kino's whole meter is told besides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.media.loudness import ProgrammeLoudness
from backend.media.loudness import measure as measure_all
from bench_rows.figures import Figure, median
from bench_rows.servers import NotMeasured

Samples = npt.NDArray[np.float32]
Loudness = Callable[[Samples], float]

SECONDS: Final = 180
RATE: Final = 48000
TURNS: Final = 5
BLOCK: Final = 65536
CASES: Final[Sequence[Sequence[tuple[float, float]]]] = (
    [(20, -23)],
    [(10, -36), (60, -23), (10, -36)],
    [(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)],
    [(20, -26), (20.1, -20), (20, -26)],
)
"""EBU Tech 3341, cases 1 and 3 to 5: seconds and dBFS of a sine; each is -23 LUFS."""


def measure(folder: Path) -> list[Figure]:
    """Speeds of both sides, their ratio, and the largest error of each on EBU's cases."""
    theirs = _pyloudnorm()
    sound = programme()
    sides: dict[str, Callable[[], object]] = {
        "integrated, Kino": lambda: integrated(sound),
        "integrated, pyloudnorm": lambda: theirs(sound),
        "all meters with true peak, Kino": lambda: measure_all(Audio.from_samples(sound, RATE)),
    }
    took: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(TURNS + 1):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            if turn:  # the first one warms up
                took[name].append(time.perf_counter() - start)
    row = "loudness"
    speeds = {name: SECONDS / median(each) for name, each in took.items()}
    mine, other, whole = speeds.values()
    return [
        *(Figure(row, f"speed, {name}", speed, "× real time") for name, speed in speeds.items()),
        Figure(row, "speed, integrated, Kino / pyloudnorm", mine / other, "×", at_least=1.0),
        Figure(row, "speed, all meters, Kino / pyloudnorm's integrated", whole / other, "×"),
        Figure(row, "largest error on EBU 3341, Kino", _error(integrated), "LU", at_most=0.05),
        Figure(row, "largest error on EBU 3341, pyloudnorm", _error(theirs), "LU"),
    ]


def integrated(sound: Samples) -> float:
    """Kino's integrated loudness alone, in blocks."""
    meter = ProgrammeLoudness(RATE, len(sound))
    for start in range(0, sound.shape[1], BLOCK):
        meter.add(sound[:, start : start + BLOCK].astype(np.float64))
    return meter.integrated_lufs


def _pyloudnorm() -> Loudness:
    try:
        import pyloudnorm
    except ImportError as missing:
        raise NotMeasured("pyloudnorm is not installed (uv sync --group dev)") from missing
    meter = pyloudnorm.Meter(RATE)
    return lambda sound: float(meter.integrated_loudness(sound.T))


def _error(loudness: Loudness) -> float:
    return max(abs(loudness(tones(case)) + 23.0) for case in CASES)


def tones(parts: Sequence[tuple[float, float]]) -> Samples:
    """1 kHz on both sides: seconds at a level in dBFS, one after the other."""
    gain = np.concatenate(
        [np.full(round(seconds * RATE), 10 ** (level_db / 20)) for seconds, level_db in parts]
    )
    sine = gain * np.sin(2 * np.pi * 1000 * np.arange(gain.size) / RATE)
    return np.tile(sine, (2, 1)).astype(np.float32)


def programme() -> Samples:
    """Struck, coloured noise, 20 s loud and 10 s quiet in turns."""
    random = np.random.default_rng(1)
    at = np.arange(SECONDS * RATE) / RATE
    noise = random.standard_normal((2, at.size + 3))
    coloured = noise[:, 3:] + noise[:, 2:-1] + noise[:, 1:-2] + noise[:, :-3]
    struck = 0.05 * np.exp(-6 * (at % 0.5)) * np.where(at % 30 < 20, 1.0, 0.1)
    return (coloured * struck).astype(np.float32)
