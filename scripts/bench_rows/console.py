"""Row: the whole console against chains of pedalboard's and torchaudio's own effects.

Knows: one mix, written three times.
Does not know: how Kino mixes.

Eight stereo strips of a minute with gate, compressor, three bands, delay, pan and fader; a master
with high-pass, drive, low-pass, gate, compressor, three bands and limiter. Every side has the
samples in memory and uses two threads or its own; Kino and pedalboard are measured in turns,
torchaudio, which is far slower, twice by itself. pedalboard's drive is a plain tanh and its limiter
knows no true peak; torchaudio has no dynamics and no limiter, so its chain is filters, echoes and
overdrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from backend.media.audio import Audio
from backend.plugins.mixer.document import MixDoc
from backend.plugins.mixer.operations import mix
from bench_rows.figures import Figure, median

Samples = npt.NDArray[np.float32]

STRIPS, SECONDS, RATE = 8, 60, 48000
TURNS = 9
THREADS = 2
INTERNODE_RTF = 6.2
"""Figure of the design, audio.md section 3, of the predecessor with its delay off."""


def measure(folder: Path) -> list[Figure]:
    """Speeds of all sides with drive and without, and the ratios of the median times."""
    tracks = [_track(number) for number in range(STRIPS)]
    sources = [Audio.from_samples(samples, RATE) for samples in tracks]
    figures: list[Figure] = []
    for drive, at_least in ((True, 0.9), (False, 1.1)):
        document = MixDoc.model_validate(_document(sources, drive))
        sides: dict[str, Callable[[], object]] = {
            "Kino": partial(mix, document, loudness="master"),
            "pedalboard": partial(_pedalboard, tracks, drive),
        }
        slow = partial(_torchaudio, tracks, drive)
        took = _in_turns(sides) | {"torchaudio": min(_seconds(slow), _seconds(slow))}
        row = "console, with drive" if drive else "console, without drive"
        ratio = took["pedalboard"] / took["Kino"]
        figures.append(Figure(row, "speed, Kino / pedalboard", ratio, "×", at_least=at_least))
        figures.append(
            Figure(row, "speed, Kino / torchaudio", took["torchaudio"] / took["Kino"], "×")
        )
        for name, seconds in took.items():
            figures.append(Figure(row, f"speed, {name}", SECONDS / seconds, "× real time"))
    before = "speed, predecessor without delay (from its own measurement)"
    figures.append(Figure("console, with drive", before, INTERNODE_RTF, "× real time"))
    return figures


def _in_turns(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each side; the first turn only warms up."""
    took: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(TURNS + 1):
        for name, run in sides.items():
            seconds = _seconds(run)
            if turn:
                took[name].append(seconds)
    return {name: median(seconds) for name, seconds in took.items()}


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _track(number: int) -> Samples:
    """Noise that swells and dies away, so that gates and compressors have work."""
    noise = np.random.default_rng(number).standard_normal((2, SECONDS * RATE), np.float32)
    swell = np.sin(np.arange(SECONDS * RATE) / RATE * (1.3 + 0.2 * number) + number) ** 2
    noise *= (0.3 * swell + 0.0005).astype(np.float32)
    return noise


def _document(sources: list[Audio], drive: bool) -> dict[str, Any]:
    strips = [
        {
            "id": f"strip{number}",
            "source": source,
            "gate": {"threshold_db": -45},
            "compressor": {"threshold_db": -24, "attack_ms": 10, "release_ms": 200},
            "eq": _bands(3, -4, 2),
            "delay": {"time_s": 0.35, "feedback": 0.4, "mix": 0.25},
            "pan": (number - 3.5) / 5,
            "fader_db": -6,
        }
        for number, source in enumerate(sources)
    ]
    master = {
        "high_pass_hz": 30,
        "drive": 0.4 if drive else None,
        "low_pass_hz": 18000,
        "gate": {"threshold_db": -70},
        "compressor": {"threshold_db": -14, "ratio": 2, "attack_ms": 30, "release_ms": 250},
        "eq": _bands(1, -1, 1),
        "limiter": {"ceiling_db": -1},
    }
    return {"strips": strips, "master": master}


def _bands(low: float, mid: float, high: float) -> dict[str, dict[str, float]]:
    return {"low": {"gain_db": low}, "mid": {"gain_db": mid}, "high": {"gain_db": high}}


def _pedalboard(tracks: list[Samples], drive: bool) -> Samples:
    import pedalboard as pb

    def bands(low: float, mid: float, high: float) -> list[Any]:
        shelves = pb.LowShelfFilter(250, low), pb.HighShelfFilter(4000, high)
        return [shelves[0], pb.PeakFilter(1000, mid), shelves[1]]

    def strip(samples: Samples) -> Samples:
        dynamics = [pb.NoiseGate(-45, 10, 1, 100), pb.Compressor(-24, 4, 10, 200)]
        chain = pb.Pedalboard([*dynamics, *bands(3, -4, 2), pb.Delay(0.35, 0.4, 0.25), pb.Gain(-6)])
        return chain(samples, RATE)  # type: ignore[no-any-return]

    with ThreadPoolExecutor(THREADS) as pool:
        bus = sum(pool.map(strip, tracks))
    master = [
        pb.HighpassFilter(30),
        *([pb.Distortion(7)] if drive else []),
        pb.LowpassFilter(18000),
        pb.NoiseGate(-70, 10, 1, 100),
        pb.Compressor(-14, 2, 30, 250),
        *bands(1, -1, 1),
        pb.Limiter(-1, 100),
    ]
    return pb.Pedalboard(master)(bus, RATE)  # type: ignore[no-any-return]


def _torchaudio(tracks: list[Samples], drive: bool) -> object:
    import torch
    from torchaudio import functional as audio

    def bands(sound: Any, low: float, mid: float, high: float) -> Any:
        sound = audio.bass_biquad(sound, RATE, low, 250)
        sound = audio.equalizer_biquad(sound, RATE, 1000, mid)
        return audio.treble_biquad(sound, RATE, high, 4000)

    bus: Any = 0
    late = round(0.35 * RATE)
    for samples in tracks:
        dry = bands(torch.from_numpy(samples), 3, -4, 2)
        wet = torch.zeros_like(dry)
        for echo in range(1, 5):
            wet[:, echo * late :] += 0.4 ** (echo - 1) * dry[:, : -echo * late]
        bus = bus + 0.5 * (0.75 * dry + 0.25 * wet)
    bus = audio.highpass_biquad(bus, RATE, 30)
    if drive:
        bus = audio.overdrive(bus, 7)
    return bands(audio.lowpass_biquad(bus, RATE, 18000), 1, -1, 1)
