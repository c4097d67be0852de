"""Row: resampling, Kino's against torchaudio's default, for what is kept and what is folded back.

Knows: tones of known frequency, before and after.
Does not know: how either resamples.

A tone below half of the new rate should come back as itself: the sine and cosine of its frequency
are fitted to the result, and what is left of it is noise. A tone above that should not come back at
all: whatever does has been folded down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from backend.media.resampling import resample_blocks
from bench_rows.figures import Figure, median

Samples = npt.NDArray[np.float32]
Resample = Callable[[Samples], Samples]

FROM, TO = 48_000, 44_100
TONES_HZ: Final = tuple(np.geomspace(50.0, 20_000.0, 25))
"""The steps of a sweep over what is heard."""
FOLDED_HZ: Final = tuple(np.linspace(22_400.0, 23_800.0, 8))
SECONDS, TURNS, EDGE = 60, 5, 4410
BLOCK = 65_536


def measure(folder: Path) -> list[Figure]:
    """Worst noise over the sweep, worst alias, and speeds in turns, of both sides."""
    sides: dict[str, Resample] = {"Kino": _kino, "torchaudio": _torchaudio}
    row = "resampling 48 to 44.1 kHz"
    noise = {name: min(_to_noise_db(side, hz) for hz in TONES_HZ) for name, side in sides.items()}
    alias = {name: max(_alias_db(side, hz) for hz in FOLDED_HZ) for name, side in sides.items()}
    took = _in_turns(sides)
    ratio = took["torchaudio"] / took["Kino"]
    return [
        Figure(row, "signal to noise, worst of the sweep, Kino", noise["Kino"], "dB", at_least=130),
        Figure(row, "signal to noise, worst of the sweep, torchaudio", noise["torchaudio"], "dB"),
        Figure(row, "alias, worst, Kino", alias["Kino"], "dB", at_most=-120),
        Figure(row, "alias, worst, torchaudio", alias["torchaudio"], "dB"),
        Figure(row, "speed, Kino / torchaudio", ratio, "×"),
        *(
            Figure(row, f"speed, {name}", SECONDS / each, "× real time")
            for name, each in took.items()
        ),
    ]


def _kino(samples: Samples) -> Samples:
    blocks = (samples[:, at : at + BLOCK] for at in range(0, samples.shape[1], BLOCK))
    return np.concatenate(list(resample_blocks(blocks, len(samples), FROM, TO)), axis=1)


def _torchaudio(samples: Samples) -> Samples:
    import torch
    from torchaudio.functional import resample

    made: Samples = resample(torch.from_numpy(samples), FROM, TO).numpy()
    return made


def _tone(hz: float, rate: int, frames: int) -> npt.NDArray[np.float64]:
    return np.sin(2 * np.pi * hz * np.arange(frames) / rate)


def _to_noise_db(side: Resample, hz: float) -> float:
    source = 0.5 * _tone(hz, FROM, 2 * FROM)
    found = side(source[np.newaxis].astype(np.float32))[0].astype(np.float64)
    turn = 2 * np.pi * hz * np.arange(len(found)) / TO
    basis = np.stack([np.sin(turn), np.cos(turn)], axis=1)[EDGE:-EDGE]
    wanted = found[EDGE:-EDGE]
    fit, *_ = np.linalg.lstsq(basis, wanted, rcond=None)
    rest = wanted - basis @ fit
    return float(10 * np.log10(np.mean(wanted**2) / np.mean(rest**2)))


def _alias_db(side: Resample, hz: float) -> float:
    source = 0.5 * _tone(hz, FROM, 2 * FROM)
    found = side(source[np.newaxis].astype(np.float32))[0].astype(np.float64)[EDGE:-EDGE]
    return float(10 * np.log10(np.mean(found**2) / np.mean(source**2) + 1e-30))


def _in_turns(sides: dict[str, Resample]) -> dict[str, float]:
    """Median seconds of each side for a minute of stereo; the first turn only warms up."""
    samples = np.random.default_rng(0).standard_normal((2, SECONDS * FROM), np.float32) * 0.1
    took: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(TURNS + 1):
        for name, side in sides.items():
            begin = time.perf_counter()
            side(samples)
            if turn:
                took[name].append(time.perf_counter() - begin)
    return {name: median(seconds) for name, seconds in took.items()}
