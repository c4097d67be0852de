"""Limits that the reactive operations share.

Knows: how long a curve may be, and how far it may be smoothed.
Does not know: any operation.
"""

from __future__ import annotations

from typing import Annotated, Final

from annotated_types import Ge, Le

MOST_FRAMES: Final = 1_000_000
"""A curve has no more frames: 11 hours at 25 frames a second."""

Smoothing = Annotated[float, Ge(0), Le(0.99)]
"""How much of the value before remains in each value."""
