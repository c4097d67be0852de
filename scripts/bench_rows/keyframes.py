"""Row: keyframes, beats and tempo against librosa.

Knows: a drum set with known strokes, and what to ask of both sides.
Does not know: how either listens.

Both sides have the samples in memory, mono, at their own rate, and are warm; they give bare
features (level, onset times, tempo) and are measured in turns. What a whole operation takes, with
frames at 24000/1001, schedule and picture, is told besides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from backend.context import LOCAL
from backend.media.audio import Audio
from backend.plugins.reactive import energy, onsets, operations
from bench_rows.figures import Figure, median
from bench_rows.peers import Peer

Samples = npt.NDArray[np.float32]
Times = npt.NDArray[np.float64]

SECONDS: Final = 600
RATE: Final = 44100
BPM: Final = 132.0
TURNS: Final = 3
FPS: Final = Fraction(24000, 1001)
LIBROSA: Final = ("librosa>=0.11,<0.12",)
ASKED: Final = """
import json, sys, time
import librosa, numpy as np
sound, rate = np.load(sys.argv[1]), int(sys.argv[2])

def timed(listen):
    start = time.perf_counter()
    heard = listen()
    return time.perf_counter() - start, np.atleast_1d(heard).tolist()

def level():
    return librosa.feature.rms(y=sound, hop_length=512)[0].mean()

def beats():
    return librosa.onset.onset_detect(y=sound, sr=rate, units="time")

def tempo():
    return librosa.beat.beat_track(y=sound, sr=rate)[0]

for warm in (level, beats, tempo):
    warm()
print(json.dumps({each.__name__: timed(each) for each in (level, beats, tempo)}))
"""


def measure(folder: Path) -> list[Figure]:
    """Times of both sides, their ratio, and how well each finds strokes and tempo."""
    peer = Peer(folder, LIBROSA)
    samples, strokes = drums()
    path = folder / "drums.npy"
    np.save(path, samples)
    sound = Audio.from_samples(samples, RATE)
    ours: dict[str, Callable[[], Any]] = {
        "level": lambda: energy.measure(sound, LOCAL),
        "beats": lambda: onsets.pick(onsets.novelty(sound, LOCAL), 0.4),
        "tempo": lambda: operations.tempo(sound),
        "whole operation": lambda: operations.keyframes(sound, FPS, "beat"),
    }
    for each in ours.values():
        each()
    kino: dict[str, list[float]] = {name: [] for name in ours}
    theirs: dict[str, list[float]] = {"level": [], "beats": [], "tempo": []}
    heard: dict[str, Any] = {}
    for _ in range(TURNS):
        for name, listen in ours.items():
            start = time.perf_counter()
            heard[name] = listen()
            kino[name].append(time.perf_counter() - start)
        answer = peer.ask(ASKED, str(path), str(RATE))
        for name, (took, said) in answer.items():
            theirs[name].append(took)
            heard[f"their {name}"] = said
    return [*_speeds(kino, theirs), *_quality(heard, strokes)]


def _speeds(kino: dict[str, list[float]], theirs: dict[str, list[float]]) -> list[Figure]:
    figures = []
    for name, took in kino.items():
        row, mine = f"keyframes, {name}", median(took)
        figures.append(Figure(row, "speed, Kino", SECONDS / mine, "× real time"))
        if name in theirs:
            other = median(theirs[name])
            figures += [
                Figure(row, "speed, librosa", SECONDS / other, "× real time"),
                Figure(row, "speed, Kino / librosa", other / mine, "×", at_least=1.0),
            ]
    return figures


def _quality(heard: dict[str, Any], strokes: Times) -> list[Figure]:
    lit = np.flatnonzero(heard["whole operation"].curve.values)
    found: Times = (lit.astype(np.float64) + 0.5) / float(FPS)
    within = 0.05 + 0.5 / float(FPS)
    row = "keyframes, right"
    return [
        Figure(row, "F of beats, Kino", f_measure(found, strokes, within), "", at_least=0.98),
        Figure(
            row,
            "F of onsets, librosa",
            f_measure(np.array(heard["their beats"]), strokes, 0.05),
            "",
        ),
        Figure(row, "error of the tempo, Kino", 100 * abs(heard["tempo"].bpm / BPM - 1), "%"),
        Figure(
            row, "error of the tempo, librosa", 100 * abs(heard["their tempo"][0] / BPM - 1), "%"
        ),
    ]


def drums() -> tuple[Samples, Times]:
    """Kick, hat, snare and hat on eighth notes over a soft chord, and when each is struck."""
    random = np.random.default_rng(1)
    time_s = np.arange(SECONDS * RATE) / RATE
    sound = sum(0.02 * np.sin(2 * np.pi * hertz * time_s) for hertz in (220.0, 277.2, 329.6))
    sound = np.asarray(sound)
    length = np.arange(int(0.35 * RATE)) / RATE
    kick = np.sin(2 * np.pi * (50 * length + 2 * (1 - np.exp(-30 * length))))
    strokes = [0.0]
    for number, beat in enumerate(np.arange(0.25, SECONDS - 0.5, 30.0 / BPM)):
        noise = random.standard_normal(length.size + 1)
        snare = 0.5 * np.sin(2 * np.pi * 190 * length) + 0.5 * noise[1:]
        struck = (
            kick * np.exp(-length / 0.1),
            0.4 * np.diff(noise) * np.exp(-length / 0.03),
            snare * np.exp(-length / 0.07),
            0.4 * np.diff(noise) * np.exp(-length / 0.03),
        )[number % 4]
        at = round((beat + random.uniform(-0.008, 0.008)) * RATE)
        sound[at : at + length.size] += 0.5 * random.uniform(0.5, 1.0) * struck
        strokes.append(at / RATE)
    return sound.astype(np.float32), np.array(strokes)


def f_measure(found: Times, true: Times, within_s: float) -> float:
    """Harmonic mean of precision and recall; each true time is hit by one found at most."""
    left, hits = list(found), 0
    for each in true:
        near = [other for other in left if abs(other - each) <= within_s]
        if near:
            left.remove(min(near, key=lambda other: abs(other - each)))
            hits += 1
    return 2.0 * hits / max(1, len(found) + len(true))
