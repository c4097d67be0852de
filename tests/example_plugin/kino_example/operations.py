"""The example's operation.

Knows: name, parameters, units and ranges; imports nothing heavy.
Does not know: the arithmetic, which is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from backend.media.audio import Audio
from backend.plugins import LOCAL, Context, Needs, operation
from backend.units import Decibels, Hertz


@operation("example.tremolo", needs=Needs(memory_gib=0.1))
def tremolo(
    sound: Audio,
    rate_hz: Annotated[Hertz, Ge(0.1), Le(20)] = 5.0,
    depth_db: Annotated[Decibels, Ge(0), Le(40)] = 6.0,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Make a sound swell and fade.

    The gain follows a sine in decibels, between 0 dB and minus *depth_db*, and starts at 0 dB.
    """
    from . import modulation

    return modulation.tremolo(sound, rate_hz, depth_db, ctx)
