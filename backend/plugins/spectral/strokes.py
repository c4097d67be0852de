"""Strokes: edits of a spectrum as data, in seconds and hertz.

Knows: shapes (brush, rectangle, lasso), what is done within them, and their ranges.
Does not know: bins and columns (``shapes``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import Discriminator, Tag

from backend.plugins import Model
from backend.units import Decibels, Hertz, Seconds

LATEST_S = 86_400.0
HIGHEST_HZ = 5_000_000.0
FULL_DB = 120.0

Time = Annotated[Seconds, Ge(0), Le(LATEST_S)]
Frequency = Annotated[Hertz, Ge(0), Le(HIGHEST_HZ)]
Point = tuple[Time, Frequency]
"""Seconds from the start of the sound, and hertz."""


class _Edit(Model):
    mode: Literal["attenuate", "replace"] = "attenuate"
    """``attenuate`` lowers by *strength_db*; ``replace`` brings every bin to the level of what lies
    around the stroke, by at most *strength_db* up or down. The phase stays."""
    strength_db: Annotated[Decibels, Ge(0), Le(FULL_DB)] = FULL_DB
    """``attenuate`` with 120 dB removes altogether."""
    fill_from: Literal["frequency", "time"] = "frequency"
    """Where ``replace`` looks: above and below the stroke, or before and after it."""


class Brush(_Edit):
    """A line drawn with a round brush; one point is a dab."""

    shape: Literal["brush"] = "brush"
    points: Annotated[list[Point], Len(1, 10_000)]
    radius_s: Annotated[Seconds, Ge(0), Le(60)] = 0.05
    radius_hz: Annotated[Hertz, Ge(0), Le(HIGHEST_HZ)] = 100.0
    feather: Annotated[float, Ge(0), Le(1)] = 0.5
    """Part of the radius over which the effect grows from the edge inwards; 0 is a hard edge."""


class Rectangle(_Edit):
    """Everything between two times and two frequencies."""

    shape: Literal["rectangle"]
    start_s: Time
    end_s: Time
    low_hz: Frequency = 0.0
    high_hz: Frequency = HIGHEST_HZ
    feather_s: Annotated[Seconds, Ge(0), Le(60)] = 0.0
    """Time over which the effect grows from the edge inwards."""
    feather_hz: Annotated[Hertz, Ge(0), Le(HIGHEST_HZ)] = 0.0


class Lasso(_Edit):
    """Everything inside a closed line; where it crosses itself, inside is the even-odd rule's."""

    shape: Literal["lasso"]
    points: Annotated[list[Point], Len(3, 10_000)]
    feather_s: Annotated[Seconds, Ge(0), Le(60)] = 0.0
    feather_hz: Annotated[Hertz, Ge(0), Le(HIGHEST_HZ)] = 0.0


AnyStroke = Brush | Rectangle | Lasso


def _shape(value: Any) -> Any:
    """The shape that a stroke names; without one it is a brush."""
    return value.get("shape", "brush") if isinstance(value, dict) else getattr(value, "shape", None)


Stroke = Annotated[
    Annotated[Brush, Tag("brush")]
    | Annotated[Rectangle, Tag("rectangle")]
    | Annotated[Lasso, Tag("lasso")],
    Discriminator(_shape),
]
