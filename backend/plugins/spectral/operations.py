"""The operations of the plugin.

Knows: names, parameters, units and ranges; imports nothing heavy.
Does not know: how they work, which is imported inside the run.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Le, Len

from backend.media.audio import Audio
from backend.media.image import Image, Mask
from backend.media.spectrogram import HopLength, NFft, SpectrogramSettings
from backend.plugins import LOCAL, Context, Needs, operation
from backend.units import Decibels, SampleRate, Seconds

from .strokes import LATEST_S, Stroke

Start = Annotated[Seconds, Ge(0), Le(LATEST_S)]
Duration = Annotated[Seconds, Ge(0), Le(LATEST_S)]
Range = Annotated[Decibels, Ge(20), Le(200)]
Top = Annotated[Decibels, Ge(-200), Le(60)]


class Spectrogram(NamedTuple):
    """What `spectral.spectrogram` gives."""

    picture: Image
    """Grey, all channels below each other; its settings lie inside the file as well."""
    settings: SpectrogramSettings
    """What `spectral.apply` needs if the picture came back without them."""


class Applied(NamedTuple):
    """What `spectral.apply` gives."""

    audio: Audio
    removed: Audio
    """Only what was removed: the source less the result."""
    edited_share: float
    """Part of the picture, 0 to 1, that was edited."""


class Brushed(NamedTuple):
    """What `spectral.brush` gives."""

    audio: Audio
    removed: Audio
    """Only what was removed: the source less the result."""
    picture: Image | None
    """The result around the strokes, which are outlined; for people."""


@operation("spectral.spectrogram", needs=Needs(memory_gib=1.0), timeout_s=3600.0)
def spectrogram(
    audio: Audio,
    n_fft: NFft = 2048,
    hop_length: HopLength = 512,
    start_s: Start = 0.0,
    duration_s: Duration | None = None,
    top_db: Top | None = None,
    range_db: Range = 100.0,
    bit_depth: Literal[8, 16] = 16,
    multiple_of: Annotated[int, Ge(1), Le(256)] = 1,
    *,
    ctx: Context = LOCAL,
) -> Spectrogram:
    """Show a sound as a picture that can be edited and put back with `spectral.apply`.

    One column is a Hann window of *n_fft* samples, one each *hop_length*; one row is a frequency,
    rising upwards; the channels lie below each other. White is *top_db* (by default the loudest
    bin, rounded up), black *range_db* below; a full-scale sine is 0 dB. *start_s* and *duration_s*
    show a part. *multiple_of* pads width and height, black, right and below, as models want it;
    `spectral.apply` cuts that off again. A picture has at most 50 million pixels.
    """
    from . import viewing
    from .grid import Grid

    grid = Grid.over(audio, n_fft, hop_length)
    columns = viewing.span(grid, audio.sample_rate, start_s, duration_s)
    picture = viewing.picture(audio, grid, columns, top_db, range_db, bit_depth, multiple_of, ctx)
    if picture.spectrogram is None:
        raise AssertionError("a spectrogram was made without settings")
    return Spectrogram(picture, picture.spectrogram)


@operation("spectral.apply", needs=Needs(memory_gib=1.2), timeout_s=3600.0)
def apply(
    audio: Audio,
    picture: Image,
    mask: Mask | None = None,
    settings: SpectrogramSettings | None = None,
    phase: Literal["source", "fitted"] = "source",
    *,
    ctx: Context = LOCAL,
) -> Applied:
    """Put an edited spectrogram back into the sound that it was made of.

    Only pixels that were edited count, and they scale what is there: brighter is louder, darker is
    softer, black or transparent is gone; the phase stays. Everything farther than half a window
    (n_fft / 2 samples) from an edited column keeps its samples bit for bit, and with nothing edited
    all of them. With *mask* (white counts, black does not, same size) the rest of the picture may
    have changed: a picture that went through a model or a lossy format needs one. *settings* are
    those in the picture, unless an editor has dropped them. *phase* 'fitted' is for sounds painted
    where there were none: what rises by more than 12 dB gets phases of its own (at most 16.8
    million pixels). Sounds of any length are streamed.
    """
    from . import applying

    return Applied(*applying.apply(audio, picture, settings, mask, phase, ctx))


@operation("spectral.brush", needs=Needs(memory_gib=0.5), timeout_s=3600.0)
def brush(
    audio: Audio,
    strokes: Annotated[list[Stroke], Len(1, 1000)],
    n_fft: NFft = 2048,
    hop_length: HopLength = 512,
    picture: bool = True,
    *,
    ctx: Context = LOCAL,
) -> Brushed:
    """Attenuate or replace parts of a sound, drawn as strokes in seconds and hertz.

    Each stroke is a brush, a rectangle or a lasso; see their fields. They work on the complex
    spectrum and keep its phase. A stroke reaches half a window (n_fft / 2 samples) beyond its first
    and last column; all other samples stay bit for bit. Sounds of any length are streamed.
    *picture* shows the result around the strokes.
    """
    from . import brushing

    return Brushed(*brushing.brush(audio, strokes, n_fft, hop_length, picture, ctx))


@operation("spectral.image_to_audio", needs=Needs(memory_gib=1.0), timeout_s=3600.0)
def image_to_audio(
    picture: Image,
    n_iter: Annotated[int, Ge(0), Le(1000)] = 48,
    hop_length: HopLength = 512,
    sample_rate: Annotated[SampleRate, Ge(8000), Le(384_000)] = 44100,
    channels: Annotated[int, Ge(1), Le(64)] = 1,
    top_db: Top = 0.0,
    range_db: Range = 100.0,
    gain_db: Annotated[Decibels, Ge(-120), Le(60)] = 0.0,
    settings: SpectrogramSettings | None = None,
    *,
    ctx: Context = LOCAL,
) -> Audio:
    """Make the sound of any picture: brightness is level, upwards is frequency, rightwards time.

    Phases are integrated from their gradients and refined by *n_iter* iterations of Griffin and
    Lim. A spectrogram that carries its settings, or for which *settings* are given, gets the
    window, rate, length, channels and levels of its sound, whatever is said here; of any other
    picture the height gives the window: n_fft is twice the height of a channel less 2. Black is
    silence. With a source to put the picture back into, `spectral.apply` is far better. At most
    16.8 million pixels a channel.
    """
    from . import synthesis

    found = settings or picture.spectrogram
    if found is None:
        found = synthesis.plain_settings(
            picture, hop_length, sample_rate, channels, top_db, range_db
        )
    return synthesis.sound(picture, found, n_iter, 10.0 ** (gain_db / 20.0), ctx)


@operation("spectral.plot", needs=Needs(memory_gib=0.5), timeout_s=3600.0)
def plot(
    audio: Audio,
    n_fft: NFft = 2048,
    hop_length: HopLength = 512,
    start_s: Start = 0.0,
    duration_s: Duration | None = None,
    scale: Literal["linear", "log"] = "log",
    range_db: Range = 100.0,
    *,
    ctx: Context = LOCAL,
) -> Image:
    """Draw the spectrogram of a sound for people, with axes in seconds and hertz and a colour bar.

    At most 8 channels are drawn, each below the last.
    """
    from . import plotting, viewing
    from .grid import Grid

    grid = Grid.over(audio, n_fft, hop_length)
    columns = viewing.span(grid, audio.sample_rate, start_s, duration_s)
    return plotting.plot(audio, grid, columns, scale, range_db, "Spectrogram", ctx)
