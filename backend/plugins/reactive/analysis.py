"""Several curves of one sound at once, read in one pass.

Knows: which curves there are and what they are measured in.
Does not know: how they are measured (``bands``).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.curves import frame_times
from backend.plugins import Context

from . import bands, keyframes, pictures, shaping
from .choices import BANDS_HZ
from .results import Analysis

_WIDTH_S: Final = 0.050


def analyse(
    audio: Audio, fps: Fraction, smoothing: float, range_db: float, ctx: Context
) -> Analysis:
    """Level, three bands, flux and spectral centroid of *audio* for each frame."""
    count = keyframes.frame_count(audio, fps)
    times, width = frame_times(count, fps), max(_WIDTH_S, float(1 / fps))
    found, total, moment, flux = bands.describe(audio, list(BANDS_HZ.values()), ctx)
    power = total.mean(times, width)
    made = {"level": keyframes.scaled(power, "db", range_db, True)}
    for name, cells in zip(("low", "mid", "high"), found, strict=True):
        made[name] = keyframes.scaled(cells.mean(times, width), "db", range_db, True)
    rises = flux.mean(times, width)
    made["flux"] = rises / max(float(rises.max(initial=0.0)), 1e-9)
    centroid = np.zeros(count)
    np.divide(moment.mean(times, width), power, out=centroid, where=power > 1e-10)
    made["centroid_hz"] = centroid
    curves = {
        name: Automation.from_values(shaping.smooth(values, smoothing), fps)
        for name, values in made.items()
    }
    warnings = []
    if power.max(initial=0.0) < 1e-10:
        warnings.append("the sound is silent, so every curve is flat: use another sound")
    labels = {name: f"{name} [0–1]" for name in curves} | {"centroid_hz": "centroid [Hz]"}
    drawn = {name: (curve, labels[name]) for name, curve in curves.items()}
    picture = pictures.curves(drawn, "Analysis")
    return Analysis(curves, picture, count, warnings)
