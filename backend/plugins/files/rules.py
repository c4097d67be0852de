"""Rules of sounds that a schema cannot say: each broken one becomes a problem with its sentence.

Knows: the rules, and their sentences.
Does not know: which operation asks.
"""

from __future__ import annotations

from backend.media.audio import Audio
from backend.media.resampling import length_at
from backend.plugins import refused


def not_empty(audio: Audio, pointer: str = "/audio") -> None:
    """Raises `InvalidParameters` for a sound without samples."""
    if audio.frames == 0:
        raise refused(pointer, "empty", "the sound holds no samples")


def not_lost(audio: Audio, sample_rate: int, pointer: str) -> None:
    """Raises `InvalidParameters` for a sound that is shorter than a sample at another rate."""
    if length_at(audio.frames, audio.sample_rate, sample_rate) == 0:
        raise refused(pointer, "too_short", f"at {sample_rate} Hz nothing is left of the sound")


def frames_of(seconds: float, audio: Audio) -> int:
    """A time in *audio*, to the nearest frame."""
    return round(seconds * audio.sample_rate)
