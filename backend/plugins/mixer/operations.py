"""The mixer's operations.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: the arithmetic, which is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le, Len

from backend.media.audio import Audio
from backend.plugins import LOCAL, Context, Needs, operation
from backend.units import Decibels, Milliseconds, Ratio, SampleRate

from .tracks import MixResult, Track


@operation("mixer.mix", needs=Needs(memory_gib=0.3), timeout_s=3600.0)
def mix(
    tracks: Annotated[list[Track], Len(1, 256)],
    sample_rate: Annotated[SampleRate, Ge(8000), Le(384000)] | None = None,
    *,
    ctx: Context = LOCAL,
) -> MixResult:
    """Sum tracks to one stereo programme.

    The bus runs at *sample_rate*, by default the highest of the tracks; tracks at another rate
    are resampled. The mix is as long as the longest track. It is 32-bit float and is never
    clipped or scaled: `peak_db` tells how far above or below full scale it reaches. Every track,
    heard or not, counts for length and rate, so that mute and solo change neither.

    The master bus has no processing yet, so ``master`` and ``pre_master`` hold equal samples.
    """
    from . import mixing

    return mixing.mix(tracks, sample_rate, ctx)


@operation("mixer.duck", needs=Needs(memory_gib=0.2), timeout_s=3600.0)
def duck(
    music: Audio,
    voice: Audio,
    threshold_db: Annotated[Decibels, Ge(-60), Le(0)] = -24.0,
    ratio: Annotated[Ratio, Ge(1), Le(20)] = 4.0,
    attack_ms: Annotated[Milliseconds, Ge(0), Le(2000)] = 10.0,
    release_ms: Annotated[Milliseconds, Ge(1), Le(5000)] = 500.0,
    makeup_db: Annotated[Decibels, Ge(0), Le(24)] = 0.0,
    knee_db: Annotated[Decibels, Ge(0), Le(24)] = 6.0,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Lower the music while the voice speaks.

    A voice whose peaks lie L dB over *threshold_db* lowers the music by (1 - 1/ratio) L dB,
    reached with the time constant *attack_ms* and left with *release_ms* (63 % of the way each).
    *knee_db* is the width of the bend around the threshold. The music keeps its length, rate and
    channels; where the voice is silent it passes unchanged, but for *makeup_db*.
    """
    from . import dynamics

    shape = dynamics.Shape(threshold_db, ratio, knee_db, attack_ms, release_ms)
    return dynamics.duck(music, voice, shape, makeup_db, ctx)
