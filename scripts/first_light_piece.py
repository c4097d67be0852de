"""A four-track piece for the first light: drums, bass, keys and a voice, made from nothing.

Knows: how to synthesise eight seconds of music, the same samples every time, and write WAV files.
Does not know: Kino.

Four bars at 120 beats a minute over Am7, Fmaj7, Cmaj7 and G6. Every signal is float
``[channels=2, frames]``; the files are 24-bit stereo at 48 kHz.
"""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]

SAMPLE_RATE: Final = 48_000
BEAT_S: Final = 0.5
BARS: Final = 4
FRAMES: Final = int(BARS * 4 * BEAT_S * SAMPLE_RATE)

CHORDS: Final = ((57, 60, 64, 67), (53, 57, 60, 64), (52, 55, 60, 67), (55, 59, 62, 64))
ROOTS: Final = (33, 29, 36, 31)
MELODY: Final = (  # (beat, beats, MIDI note, formants of "ah", "oh" or "ee" in Hz)
    (0.5, 1.4, 69, (800.0, 1150.0, 2900.0)),
    (2.0, 1.9, 72, (800.0, 1150.0, 2900.0)),
    (4.5, 1.4, 69, (450.0, 800.0, 2830.0)),
    (6.0, 1.9, 65, (450.0, 800.0, 2830.0)),
    (8.5, 0.9, 67, (350.0, 2000.0, 2800.0)),
    (9.5, 0.9, 72, (350.0, 2000.0, 2800.0)),
    (10.5, 1.4, 76, (800.0, 1150.0, 2900.0)),
    (12.5, 0.9, 74, (450.0, 800.0, 2830.0)),
    (13.5, 2.2, 71, (800.0, 1150.0, 2900.0)),
)


def hertz(note: float) -> float:
    """Frequency of a MIDI note, A4 = 440 Hz."""
    return float(440.0 * 2.0 ** ((note - 69.0) / 12.0))


def drums() -> Signal:
    """Kick on every beat, snare on two and four, hats between."""
    track = np.zeros((2, FRAMES))
    noise = np.random.default_rng(8190)
    for beat in range(BARS * 4):
        _add(track, beat, _kick(), 0.9, 0.0)
        if beat % 2:
            _add(track, beat, _snare(noise), 0.5, 0.1)
        for half in (0.0, 0.5):
            _add(track, beat + half, _hat(noise), 0.12 if half == 0.0 else 0.2, -0.4)
    return track


def bass() -> Signal:
    """Eighth notes on the root with an octave, warm and in the middle."""
    track = np.zeros((2, FRAMES))
    for eighth in range(BARS * 8):
        note = ROOTS[eighth // 8] + (12 if eighth % 8 in (3, 6) else 0)
        tone = _harmonics(hertz(note), 0.22, lambda k: 1.0 / k**1.7, count=14)
        _add(track, eighth / 2, tone * _envelope(tone.size, 0.004, 0.05), 0.42, 0.0)
    return track


def keys() -> Signal:
    """An electric piano: two-operator FM, each voice of the chord at its own place."""
    track = np.zeros((2, FRAMES))
    for bar, chord in enumerate(CHORDS):
        for beat, beats in ((0.0, 1.4), (1.5, 0.9), (2.5, 1.4)):
            for voice, note in enumerate(chord):
                tone = _electric_piano(hertz(note), beats * BEAT_S)
                _add(track, bar * 4 + beat + 0.012 * voice, tone, 0.13, -0.6 + 0.4 * voice)
    return track


def voice() -> Signal:
    """A sung line: harmonics under three formants, with vibrato and a little breath."""
    track = np.zeros((2, FRAMES))
    breath = np.random.default_rng(2026)
    for beat, beats, note, formants in MELODY:
        tone = _sung(hertz(note), beats * BEAT_S, formants)
        tone += 0.004 * breath.standard_normal(tone.size) * _envelope(tone.size, 0.05, 0.1)
        _add(track, beat, tone, 0.5, 0.0)
    return track


TRACKS: Final[dict[str, Callable[[], Signal]]] = {
    "drums": drums,
    "bass": bass,
    "keys": keys,
    "voice": voice,
}


def write_tracks(folder: Path) -> dict[str, Path]:
    """Write ``<track>.wav`` for each of the four tracks; returns where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {}
    for name, play in TRACKS.items():
        places[name] = folder / f"{name}.wav"
        _write_wav(places[name], play())
    return places


def _write_wav(path: Path, signal: Signal) -> None:
    loudest = float(np.max(np.abs(signal)))
    whole = np.round(signal / max(1.0, loudest / 0.9) * 0x7FFFFF).astype("<i4")
    packed = np.ascontiguousarray(whole.T).view(np.uint8).reshape(-1, 4)[:, :3]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(packed.tobytes())


def _add(track: Signal, beat: float, sound: Signal, gain: float, pan: float) -> None:
    """Put mono *sound* at a beat; *pan* from -1 to 1 by the sine law."""
    start = int(beat * BEAT_S * SAMPLE_RATE)
    part = sound[: FRAMES - start]
    angle = (pan + 1.0) * np.pi / 4.0
    sides = np.array([[np.cos(angle)], [np.sin(angle)]])
    track[:, start : start + part.size] += gain * sides * part


def _time(seconds: float) -> Signal:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _envelope(frames: int, attack_s: float, release_s: float) -> Signal:
    ends = [0.0, attack_s, max(attack_s, frames / SAMPLE_RATE - release_s), frames / SAMPLE_RATE]
    return np.interp(np.arange(frames) / SAMPLE_RATE, ends, [0.0, 1.0, 1.0, 0.0])


def _kick() -> Signal:
    t = _time(0.28)
    falling = 48.0 * t + 110.0 * 0.03 * (1.0 - np.exp(-t / 0.03))  # cycles: the pitch drops
    body: Signal = np.sin(2 * np.pi * falling) * np.exp(-t / 0.09) * _envelope(t.size, 0.001, 0.02)
    return body


def _snare(noise: np.random.Generator) -> Signal:
    t = _time(0.2)
    rattle = np.diff(noise.standard_normal(t.size + 1)) * 0.35
    body = 0.6 * np.sin(2 * np.pi * 190.0 * t) * np.exp(-t / 0.04)
    hit: Signal = (rattle * np.exp(-t / 0.06) + body) * _envelope(t.size, 0.001, 0.02)
    return hit


def _hat(noise: np.random.Generator) -> Signal:
    t = _time(0.06)
    bright = np.diff(noise.standard_normal(t.size + 2), n=2) * 0.4
    hit: Signal = bright * np.exp(-t / 0.012) * _envelope(t.size, 0.0005, 0.01)
    return hit


def _harmonics(
    frequency: float, seconds: float, level: Callable[[float], float], count: int
) -> Signal:
    t = _time(seconds)
    tone = np.zeros(t.size)
    for k in range(1, count + 1):
        tone += level(float(k)) * np.sin(2 * np.pi * k * frequency * t)
    return tone


def _electric_piano(frequency: float, seconds: float) -> Signal:
    t = _time(seconds)
    bell = 1.6 * np.exp(-t / 0.25) * np.sin(2 * np.pi * frequency * 2.0 * t)
    tone: Signal = np.sin(2 * np.pi * frequency * t + bell) * np.exp(-t / 0.7)
    return tone * _envelope(t.size, 0.004, 0.08)


def _sung(frequency: float, seconds: float, formants: tuple[float, ...]) -> Signal:
    t = _time(seconds)
    depth = 0.006 * np.clip((t - 0.15) / 0.3, 0.0, 1.0)  # the vibrato comes in late
    phase = 2 * np.pi * frequency * np.cumsum(1 + depth * np.sin(2 * np.pi * 5.5 * t)) / SAMPLE_RATE
    tone = np.zeros(t.size)
    k = 1
    while k * frequency < 5_000.0:
        heard = sum(
            weight * np.exp(-(((k * frequency - centre) / width) ** 2))
            for centre, width, weight in zip(
                formants, (110.0, 140.0, 220.0), (1.0, 0.6, 0.25), strict=True
            )
        )
        tone += (0.06 / k + float(heard) / np.sqrt(k)) * np.sin(k * phase)
        k += 1
    return 0.5 * tone * _envelope(t.size, 0.06, 0.12)
