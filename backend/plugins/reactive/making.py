"""Curves as results: with their picture, their last value, as files.

Knows: what belongs to each result.
Does not know: the formulas (``generators``, ``shaping``, ``schedules``).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from backend.media.automation import Automation
from backend.media.file import File
from backend.plugins import scratch_folder

from . import generators, pictures, schedules, shaping
from .choices import Bend, Waveform
from .results import Curve, Remapped, Wave, Written

_SUFFIX: Final = {"schedule": ".txt", "json": ".json", "csv": ".csv"}
_MOST_TEXT: Final = 1_000_000


def shown(curve: Automation, title: str) -> Curve:
    """A curve and its picture."""
    return Curve(curve, pictures.curve(curve, title, "value"))


def wave(
    waveform: Waveform,
    period: float,
    amplitude: float,
    offset: float,
    phase: float,
    frames: int,
    fps: Fraction,
    seed: int,
) -> Wave:
    """See `curve_operations.lfo`."""
    values = offset + amplitude * generators.lfo(waveform, frames, period, phase, seed)
    curve = Automation.from_values(values, fps)
    picture = pictures.curve(curve, f"LFO: {waveform}, {period:g} frames", "value")
    return Wave(curve, float(curve.values[-1]), picture)


def envelope(
    shape: generators.Envelope,
    frames: int | None,
    triggers: Sequence[int] | None,
    beats: Automation | None,
    fps: Fraction | None,
) -> Curve:
    """See `curve_operations.adsr`. Beats at another rate trigger the frame they fall into."""
    starts = list(triggers if triggers is not None else [0] if beats is None else [])
    rate = fps or (beats.frame_rate if beats is not None else Fraction(24))
    if beats is not None:
        starts += [
            int((number + Fraction(1, 2)) / beats.frame_rate * rate)
            for number in generators.rising(beats.values)
        ]
        frames = frames or shaping.stretched(beats, rate)
    curve = Automation.from_values(generators.adsr(shape, frames or 120, starts), rate)
    return shown(curve, "ADSR envelope")


def remapped(
    value: float,
    source: tuple[float, float],
    target: tuple[float, float],
    shape: Bend,
    clamp: bool,
    curve: Automation | None,
) -> Remapped:
    """See `curve_operations.remap`."""
    one = shaping.remap(np.array([value]), source, target, shape, clamp)
    alone = Automation.from_values(one, 24)
    if curve is None:
        return Remapped(float(one[0]), alone)
    values = shaping.remap(curve.values.astype(np.float64), source, target, shape, clamp)
    return Remapped(float(one[0]), Automation.from_values(values, curve.frame_rate))


def written(curve: Automation, form: str, decimals: int) -> Written:
    """See `curve_operations.export`."""
    if form == "json":
        text = schedules.as_json(curve)
    elif form == "csv":
        text = schedules.as_csv(curve, decimals)
    else:
        text = schedules.schedule(curve, decimals)
    path = scratch_folder() / f"curve-{uuid.uuid4().hex}{_SUFFIX[form]}"
    path.write_text(text, encoding="utf-8")
    return Written(
        text if len(text) <= _MOST_TEXT else "", File.open(path, name=f"curve{_SUFFIX[form]}")
    )
