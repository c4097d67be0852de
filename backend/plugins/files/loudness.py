"""Loudness of a sound, as numbers and as a picture.

Knows: which sounds have a loudness, and what its operation gives.
Does not know: how it is measured (``media.loudness``) and drawn (``media.sound_pictures``).
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from backend.media.audio import Audio
from backend.media.image import Image
from backend.plugins import Context, refused
from backend.units import Decibels, Unit

from .rules import not_empty

Lufs = Annotated[float, Unit("LUFS")]
LoudnessUnits = Annotated[float, Unit("LU")]


class MeasuredLoudness(NamedTuple):
    """What `files.measure_loudness` gives; silence, and what is not defined, is -240."""

    integrated_lufs: Lufs
    """Of the whole, gated; -240 too if it is shorter than 0.4 s or nowhere louder than -70 LUFS."""
    momentary_max_lufs: Lufs
    """The loudest 0.4 s; before and after the sound there is silence."""
    short_term_max_lufs: Lufs
    """The loudest 3 s; before and after the sound there is silence."""
    range_lu: LoudnessUnits
    """Loudness range, EBU Tech 3342; 0 if the sound is shorter than 3 s."""
    true_peak_db: Decibels
    """The largest value between the samples too, in dBTP."""
    peak_db: Decibels
    """The largest absolute sample, in dBFS."""
    rms_db: Decibels
    """Root mean square over all samples in dBFS (a full-scale sine has -3.01)."""
    loudness_picture: Image | None
    """Momentary and short-term loudness over time, if it was asked for."""


def measure(audio: Audio, ctx: Context, *, picture: bool) -> MeasuredLoudness:
    """All levels of *audio*, in constant memory.

    Raises `InvalidParameters` for a sound without samples, or for which no loudness is defined.
    """
    from backend.media import loudness, sound_pictures

    not_empty(audio)
    try:
        found = loudness.measure(audio, ctx)
    except ValueError as error:
        raise refused("/audio", "loudness", str(error)) from error
    return MeasuredLoudness(
        found.integrated_lufs,
        found.momentary_max_lufs,
        found.short_term_max_lufs,
        found.range_lu,
        found.true_peak_db,
        found.peak_db,
        found.rms_db,
        sound_pictures.loudness_picture(found) if picture else None,
    )
