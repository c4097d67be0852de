"""Row: phases for a picture alone, against torchaudio's Griffin-Lim.

Knows: two sounds, and how far off the spectrum of each result is.
Does not know: how phases are found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_rows.figures import Figure, median
from bench_rows.servers import NotMeasured

RATE, SECONDS, N_FFT, HOP = 44100, 10, 2048, 512
ROUNDS, PEER_ITERATIONS, ITERATIONS = 3, 100, 48
SILENCE = 2 * N_FFT
"""Samples of silence at both ends, so that it does not matter how each side pads."""

Samples = NDArray[np.float32]


def measure(folder: Path) -> list[Figure]:
    """Both sides with one thread, in turns; convergence is judged by torch's own STFT."""
    try:
        import torch
        import torchaudio
    except ImportError as error:
        raise NotMeasured("torchaudio is not installed") from error
    from backend.plugins.spectral import griffin_lim
    from backend.plugins.spectral.grid import Grid

    torch.set_num_threads(1)
    window = torch.hann_window(N_FFT)

    def spectrum(samples: Samples) -> torch.Tensor:
        found = torch.stft(
            torch.from_numpy(samples), N_FFT, HOP, window=window, return_complex=True
        )
        return found.abs()

    def peer(samples: Samples) -> Samples:
        wanted = spectrum(samples)
        torch.manual_seed(0)
        found = torchaudio.functional.griffinlim(
            wanted, window, N_FFT, HOP, N_FFT, 1.0, PEER_ITERATIONS, 0.99, samples.size, True
        )
        made: Samples = found.numpy()
        return made

    def ours(samples: Samples) -> Samples:
        grid = Grid(N_FFT, HOP, samples.size)
        wanted = np.zeros((grid.columns, grid.bins), np.float32)
        there = spectrum(samples).numpy().T
        wanted[: len(there)] = there
        found = griffin_lim.spectra_of(wanted, grid, ITERATIONS, lambda done: None)
        return griffin_lim.samples_of(found, grid)

    def off_db(made: Samples, samples: Samples) -> float:
        wanted = spectrum(samples)
        return 20.0 * float(torch.log10((spectrum(made) - wanted).norm() / wanted.norm()))

    figures = []
    for name, make in (("music", music), ("voice", voice)):
        samples = np.pad(make(), SILENCE).astype(np.float32)
        took: dict[Callable[[Samples], Samples], list[float]] = {peer: [], ours: []}
        made = {}
        for _ in range(ROUNDS):
            for side, seconds in took.items():
                start = time.perf_counter()
                made[side] = side(samples)
                seconds.append(time.perf_counter() - start)
        row = f"image → audio, {name}"
        own_db, peer_db = off_db(made[ours], samples), off_db(made[peer], samples)
        ratio = median(took[ours]) / median(took[peer])
        figures += [
            Figure(row, "time, Kino / torchaudio", ratio, "×", at_most=0.6),
            Figure(row, "convergence, Kino - torchaudio", own_db - peer_db, "dB", at_most=0.0),
            Figure(row, "convergence, Kino", own_db, "dB"),
            Figure(row, "convergence, torchaudio", peer_db, "dB"),
            Figure(row, "speed, Kino", SECONDS / median(took[ours]), "× real time"),
        ]
    return figures


def music() -> NDArray[np.float64]:
    """Notes with eight partials, kicks and hits of noise."""
    noise = np.random.default_rng(1)
    found = np.zeros(SECONDS * RATE)
    for number, start in enumerate(range(0, found.size, RATE // 4)):
        t = np.arange(min(found.size - start, round(0.6 * RATE))) / RATE
        note = found[start : start + t.size]
        pitch = 110.0 * 2.0 ** ((number * 7 % 24) / 12.0)
        for partial in range(1, 9):
            note += 0.15 / partial * np.sin(2 * np.pi * pitch * partial * t) * np.exp(-3 * t)
        if number % 2:
            note += 0.25 * noise.standard_normal(t.size) * np.exp(-25 * t)
        else:
            note += 0.5 * np.sin(2 * np.pi * (50 * t + 3 * (1 - np.exp(-30 * t)))) * np.exp(-12 * t)
    return found


def voice() -> NDArray[np.float64]:
    """A gliding tone with thirty partials, and some breath."""
    t = np.arange(SECONDS * RATE) / RATE
    turns = np.cumsum(150 + 30 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    found = 0.005 * np.random.default_rng(1).standard_normal(t.size)
    for partial in range(1, 30):
        found += 0.2 / partial**1.3 * np.sin(2 * np.pi * partial * turns)
    return found
