"""What the reactive operations give.

Knows: names, kinds and meaning of each output.
Does not know: how they are made.
"""

from __future__ import annotations

from typing import NamedTuple

from backend.media.automation import Automation
from backend.media.file import File
from backend.media.image import Image
from backend.units import Hertz


class Keyframes(NamedTuple):
    """What `reactive.keyframes` gives."""

    curve: Automation
    """One value for each frame."""
    schedule: str
    """The same as ``0:(0.1), 1:(0.5)`` …; empty for more than 20 000 frames (see `warnings`)."""
    picture: Image
    """The curve over time; beats are ticks."""
    frame_count: int
    warnings: list[str]
    """Why the curve may not be what was wanted, each with a remedy: silence, a flat curve."""


class Analysis(NamedTuple):
    """What `reactive.analyse` gives."""

    curves: dict[str, Automation]
    """``level``, ``low``, ``mid``, ``high`` (0 to 1), ``flux`` (0 to 1) and ``centroid_hz``."""
    picture: Image
    frame_count: int
    warnings: list[str]


class Tempo(NamedTuple):
    """What `reactive.tempo` gives."""

    bpm: float
    """Beats per minute; 0 if nothing repeats."""
    confidence: float
    """0 to 1: how alike the sound is to itself one beat later."""
    candidates: list[float]
    """Other tempos that the sound repeats at (half, double …), the likeliest first."""
    beats_s: list[float]
    """Where the beats of that tempo lie, in seconds."""


class Key(NamedTuple):
    """What `reactive.key` gives."""

    key: str
    """``C major``, ``F# minor`` …; empty for silence and for noise without pitch."""
    tonic: str
    mode: str
    confidence: float
    """0 to 1: how much better this key fits than the next best."""
    tuning_hz: Hertz
    """What the sound calls a' (440 Hz when in concert pitch)."""
    chroma: dict[str, float]
    """How strong each pitch class is; the largest is 1."""


class Curve(NamedTuple):
    """What operations on curves give."""

    curve: Automation
    picture: Image


class Wave(NamedTuple):
    """What `reactive.lfo` gives."""

    curve: Automation
    last_value: float
    picture: Image


class Remapped(NamedTuple):
    """What `reactive.remap` gives."""

    value: float
    """The single value, remapped."""
    curve: Automation
    """The curve, remapped; without one, a curve of the single value."""


class Texts(NamedTuple):
    """What `reactive.text` gives."""

    text: str
    """The text at the frame asked for."""
    texts: list[str]
    """The text at every frame."""


class Written(NamedTuple):
    """What `reactive.export` gives."""

    text: str
    """The text, if it has at most a million characters; otherwise it is only in the file."""
    file: File
