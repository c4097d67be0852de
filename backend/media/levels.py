"""Levels: what a sample value is called in decibels.

Knows: decibels relative to full scale, and what silence is called.
Does not know: how a level is measured.
"""

from __future__ import annotations

import math
from typing import Final

SILENCE_DB: Final = -240.0
"""What a level of 0 is called: JSON has no minus infinity."""


def decibels(level: float) -> float:
    """An absolute sample value in dBFS, not below `SILENCE_DB`."""
    return max(SILENCE_DB, 20.0 * math.log10(level)) if level > 0 else SILENCE_DB
