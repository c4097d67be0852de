"""The mixer's operations.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: the arithmetic, which is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le

from backend.media.audio import Audio
from backend.media.breakpoints import Continuous
from backend.plugins import LOCAL, Context, Needs, operation
from backend.units import Decibels, Ratio

from .document import MixDoc
from .inserts import Attack, Bend, Compressor, Hold, LookAhead, Range, Release
from .results import MixResult


@operation("mixer.mix", needs=Needs(memory_gib=0.5), timeout_s=3600.0, version=4)
def mix(
    mix: MixDoc,
    stems: bool = False,
    loudness: Literal["master", "all"] = "master",
    picture: bool = False,
    *,
    ctx: Context = LOCAL,
) -> MixResult:
    """Mix strips, sub-buses and a master bus, as one document describes them, to stereo.

    A strip is gate, compressor, EQ, delay, pan and fader, in this order, with sends to buses; a
    bus is EQ, delay and fader; the master is high-pass, drive, low-pass, gate, compressor, EQ,
    width, balance, volume and limiter. Nothing works unless it is given: a stereo source alone
    passes to the bit. Every control takes a number, breakpoints or an automation; only the rate and
    the number of echoes stay.

    The buses run at the document's ``sample_rate``, by default the highest of the sources; sources
    at other rates are resampled. The mix is as long as the longest source with its echoes, and
    neither mute nor solo changes that. It is 32-bit float; without a limiter nothing is clipped
    or scaled, and `peak_db` tells how far it reaches.

    *stems* also gives what each strip and bus adds to ``pre_master``. *loudness* measures LUFS and
    true peak of the master, or of every strip and bus too, which costs about as much as their
    sections. *picture* draws the meters. docs/dsp.md says in words what each section does.
    """
    from . import mixing

    return mixing.mix(mix, stems=stems, loudness=loudness, picture=picture, ctx=ctx)


@operation("mixer.duck", needs=Needs(memory_gib=0.2), timeout_s=3600.0, version=2)
def duck(
    music: Audio,
    voice: Audio,
    threshold_db: Continuous[Annotated[Decibels, Ge(-60), Le(0)]] = -24.0,
    ratio: Continuous[Annotated[Ratio, Ge(1), Le(20)]] = 4.0,
    attack_ms: Attack = 10.0,
    release_ms: Release = 500.0,
    makeup_db: Continuous[Annotated[Decibels, Ge(0), Le(24)]] = 0.0,
    knee_db: Bend = 6.0,
    range_db: Range | None = None,
    hold_ms: Hold = 0.0,
    lookahead_ms: LookAhead = 0.0,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Lower the music while the voice speaks.

    A voice whose peaks lie L dB over *threshold_db* lowers the music by (1 - 1/ratio) L dB, and
    by *range_db* at most, reached with the time constant *attack_ms* and left with *release_ms*
    (63 % of the way each), after *hold_ms*. *knee_db* is the width of the bend around the
    threshold. With *lookahead_ms* the music moves so long before the voice. The music keeps its
    length, rate and channels; where the voice is silent it passes unchanged, but for *makeup_db*.

    It is the console's compressor with the voice as its key (docs/dsp.md, section 2).
    """
    from . import ducking

    controls = Compressor(
        threshold_db=threshold_db,
        ratio=ratio,
        knee_db=knee_db,
        attack_ms=attack_ms,
        hold_ms=hold_ms,
        release_ms=release_ms,
        range_db=range_db,
        lookahead_ms=lookahead_ms,
        makeup_db=makeup_db,
    )
    return ducking.duck(music, voice, controls, ctx)
