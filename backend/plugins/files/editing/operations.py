"""The operations of sound editing: cut, join, level, time and pitch, rooms.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: how it is done, which is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from backend.media.audio import LONGEST_S, Audio
from backend.media.breakpoints import Continuous
from backend.plugins import LOCAL, Context, Needs, operation
from backend.units import Decibels, Milliseconds, Seconds, Semitones, Unit

Curve = Literal["linear", "constant_power", "smooth", "exponential"]
Blend = Literal["constant_power", "linear"]
Time = Annotated[Seconds, Ge(0), Le(LONGEST_S)]
Part = Annotated[float, Ge(0), Le(1)]
Speed = Annotated[float, Unit("x"), Ge(0.25), Le(4)]

_LIGHT = Needs(memory_gib=0.1)


@operation("audio.trim", needs=_LIGHT, timeout_s=1800.0)
def trim(
    audio: Audio, start_s: Time = 0.0, end_s: Time | None = None, *, ctx: Context = LOCAL
) -> Audio:
    """Keep a sound from *start_s* to *end_s*, to the nearest sample; without *end_s* to its end."""
    from . import cutting

    return cutting.trim(audio, start_s, end_s, ctx)


@operation("audio.pad", needs=_LIGHT, timeout_s=1800.0)
def pad(audio: Audio, before_s: Time = 0.0, after_s: Time = 0.0, *, ctx: Context = LOCAL) -> Audio:
    """Put silence before and after a sound."""
    from . import cutting

    return cutting.pad(audio, before_s, after_s, ctx)


@operation("audio.reverse", needs=_LIGHT, timeout_s=1800.0)
def reverse(audio: Audio, *, ctx: Context = LOCAL) -> Audio:
    """Play a sound backwards."""
    from . import cutting

    return cutting.reverse(audio, ctx)


@operation("audio.concat", needs=_LIGHT, timeout_s=3600.0)
def concat(
    sounds: Annotated[list[Audio], MinLen(1), MaxLen(64)],
    crossfade_s: Annotated[Seconds, Ge(0), Le(60)] = 0.0,
    curve: Blend = "constant_power",
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Put sounds one after the other; with *crossfade_s*, each into the next one.

    A crossfade keeps the power of sounds that have nothing in common (``constant_power``), or the
    level of sounds that are alike (``linear``). The result has the highest rate and the most
    channels of them: mono becomes all channels, lower rates are resampled (soxr VHQ).
    """
    from . import joining

    return joining.concat(sounds, crossfade_s, curve, ctx)


@operation("audio.fade", needs=_LIGHT, timeout_s=1800.0)
def fade(
    audio: Audio,
    fade_in_s: Time = 0.0,
    fade_out_s: Time = 0.0,
    curve: Curve = "linear",
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Fade a sound in and out.

    With t from 0 to 1 the gain is t (``linear``), sin(πt/2) (``constant_power``), (1 - cos πt)/2
    (``smooth``), or straight in decibels from -60 dB, let down to nothing at t = 0
    (``exponential``); a fade out is the same backwards.
    """
    from . import levelling

    return levelling.fade(audio, fade_in_s, fade_out_s, curve, ctx)


@operation("audio.gain", needs=_LIGHT, timeout_s=1800.0)
def gain(
    audio: Audio,
    gain_db: Continuous[Annotated[Decibels, Ge(-120), Le(60)]] = 0.0,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Change the level of a sound; nothing is clipped, and -120 dB is silence.

    A moving gain is interpolated in decibels, sample by sample.
    """
    from . import levelling

    return levelling.gain(audio, gain_db, ctx)


@operation("audio.time_stretch", needs=Needs(memory_gib=0.5), timeout_s=4 * 3600.0)
def time_stretch(
    audio: Audio,
    speed: Speed = 1.0,
    duration_s: Time | None = None,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Play a sound faster or slower at its own pitch (Rubber Band).

    *speed* 2 halves the length; *duration_s* says the length instead. The length is exact to the
    sample; within it, what happens may be up to 20 ms beside its place. Programmes over half a
    minute are stretched piece by piece, joined where the waves fit best.
    """
    from . import stretching

    return stretching.time_stretch(audio, speed, duration_s, ctx)


@operation("audio.pitch_shift", needs=Needs(memory_gib=0.5), timeout_s=4 * 3600.0)
def pitch_shift(
    audio: Audio,
    pitch_st: Annotated[Semitones, Ge(-24), Le(24)] = 0.0,
    preserve_formants: bool = False,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Change the pitch of a sound and keep its length (Rubber Band).

    *preserve_formants* keeps the colour of a voice. Long programmes go as in `audio.time_stretch`.
    """
    from . import stretching

    return stretching.pitch_shift(audio, pitch_st, preserve_formants, ctx)


@operation("audio.reverb", needs=Needs(memory_gib=0.2), timeout_s=3600.0)
def reverb(
    audio: Audio,
    room_size: Part = 0.5,
    damping: Part = 0.5,
    width: Part = 1.0,
    mix: Part = 0.3,
    pre_delay_ms: Annotated[Milliseconds, Ge(0), Le(500)] = 0.0,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Put a sound into a room (Freeverb); its tail is kept until it is 90 dB down.

    The result is (1 - mix) times the sound plus *mix* times the room. Mono and stereo stay what
    they are; of more channels, each has a room of its own, and *width* counts for stereo only.
    """
    from . import rooms

    return rooms.reverb(audio, rooms.Room(room_size, damping, width, pre_delay_ms), mix, ctx)


@operation("audio.convolve", needs=Needs(memory_gib=2.0), timeout_s=3600.0)
def convolve(
    audio: Audio,
    impulse_response: Audio,
    mix: Part = 1.0,
    level: Literal["as_is", "energy"] = "as_is",
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Convolve a sound with an impulse response: a real room, a loudspeaker, any filter.

    Nothing is cut: the result is as long as both together. The response is resampled to the rate
    of the sound. One channel of either goes with every channel of the other; else both have as
    many. ``as_is`` leaves the response at its level; ``energy`` scales it so that its loudest
    channel has the energy 1, which keeps noise about as loud as it was. The result is (1 - mix)
    times the sound plus *mix* times the convolution.
    """
    from . import rooms

    return rooms.convolve(audio, impulse_response, mix, level, ctx)


OPERATIONS = (
    trim,
    pad,
    reverse,
    concat,
    fade,
    gain,
    time_stretch,
    pitch_shift,
    reverb,
    convolve,
)
