"""An edited picture put back into its sound, by the delta method.

Knows: which pixels were edited, and what their edit means to the spectrum.
Does not know: the STFT, and how sound is streamed (``editing``).

The picture of the sound as it was sent is computed again, before rounding. A pixel that is a right
rounding of it was not edited. An edited one scales its bin by the difference in decibels, phase
kept; black removes the bin. A bin that was black is set to the level that the pixel shows.

Sound that was painted where there was none has no phase worth keeping: ``painting`` finds one.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from backend.media.audio import Audio
from backend.media.image import Image, Mask
from backend.media.spectrogram import SpectrogramSettings
from backend.plugins import Context, refused

from . import painting
from .editing import Change, edit
from .grid import Grid, Spectra
from .viewing import LOWEST_DB, digest, levels_db, shades

SLACK: Final = 0.52
"""Steps by which a pixel may differ and still be rounded rightly, arithmetic of others included."""
LOOSE: Final = 1.02
"""The same where an editor made 8 bits of 16: some round, some cut off."""

Values = NDArray[np.float32]
Doubles = NDArray[np.float64]
Phase = Literal["source", "fitted"]


def settings_of(picture: Image, given: SpectrogramSettings | None) -> SpectrogramSettings:
    """The settings of a spectrogram: those *given*, or its own. Raises `InvalidParameters`."""
    settings = given or picture.spectrogram
    if settings is None:
        raise refused(
            "/settings",
            "missing",
            "the picture carries no settings (many editors drop them); give those that came with "
            "it, the result 'settings' of spectral.spectrogram",
        )
    return settings


def grey(picture: Image) -> Values:
    """Any picture as grey values [H, W]: the mean of its colours, and black where transparent."""
    pixels = picture.pixels
    if pixels.shape[2] == 1:
        return pixels[:, :, 0]
    values = pixels[:, :, :3].mean(axis=2, dtype=np.float64)
    if pixels.shape[2] == 4:
        values *= pixels[:, :, 3]
    grey_values: Values = values.astype(np.float32)
    return grey_values


def apply(
    audio: Audio,
    picture: Image,
    given: SpectrogramSettings | None,
    mask: Mask | None,
    phase: Phase,
    ctx: Context,
) -> tuple[Audio, Audio, float]:
    """*audio* with what was edited in *picture*, what that took away, and the share of pixels
    that were edited. Raises `InvalidParameters` if the three do not belong together."""
    settings = settings_of(picture, given)
    _check_sound(audio, settings)
    edited = _Edited(settings, picture, mask)
    first, last = settings.first_column, settings.first_column + settings.columns
    grid = Grid.of(settings)
    change: Change = edited.change
    if phase == "fitted":
        change = painting.fitted(audio, grid, first, last, change, ctx)
    result, removed = edit(audio, grid, first, last, change, ctx)
    return result, removed, edited.count / (settings.columns * settings.bins * settings.channels)


def _check_sound(audio: Audio, settings: SpectrogramSettings) -> None:
    for what, has, wanted in (
        ("Hz", audio.sample_rate, settings.sample_rate),
        ("channel(s)", audio.channels, settings.channels),
        ("samples", audio.frames, settings.frames),
    ):
        if has != wanted:
            told = f"the picture is of a sound with {wanted} {what}, and this one has {has}"
            raise refused("/audio", "source", told)
    if settings.source is not None and digest(audio) != settings.source:
        raise refused(
            "/audio",
            "source",
            "the picture is of another sound of equal length; to use it on this one all the same, "
            "give the settings with 'source' null",
        )


class _Edited:
    """The picture that came back, held against the one that was sent."""

    def __init__(self, settings: SpectrogramSettings, picture: Image, mask: Mask | None) -> None:
        self._settings = settings
        self._grid = Grid.of(settings)
        self._planes = _planes(settings, grey(picture), "/picture")
        self._mask = None if mask is None else _planes(settings, mask.values, "/mask")
        small = all(on_8_bits(plane) for plane in self._planes)
        depth = 8 if small else settings.bit_depth
        self._steps = float(2**depth - 1)
        self._allowed = LOOSE if depth < settings.bit_depth else SLACK
        self.count = 0

    def change(self, at: int, found: Spectra) -> Spectra | None:
        """What an edit adds to the spectra [C, M, bins] of the columns from *at* on."""
        begin = at - self._settings.first_column
        columns = slice(begin, begin + found.shape[1])
        shown = self._planes[:, :, columns].transpose(0, 2, 1).astype(np.float64)
        levels = levels_db(found, self._grid)
        sent = shades(levels, self._settings)
        touched = np.abs(shown - sent) * self._steps > self._allowed
        share = None
        if self._mask is not None:
            share = self._mask[:, :, columns].transpose(0, 2, 1).astype(np.float64)
            touched &= share > 0.0
        if not touched.any():
            return None
        self.count += int(np.count_nonzero(touched))
        gain = self._gain(shown[touched], sent[touched], levels[touched]) - 1.0
        if share is not None:
            gain *= share[touched]
        there = found[touched]
        # what is not there at all has to have a level and a phase to be raised from
        there[there == 0.0] = self._grid.full_scale * 10.0 ** (LOWEST_DB / 20.0)
        added = np.zeros_like(found)
        added[touched] = there * gain
        return added

    def _gain(self, shown: Doubles, sent: Doubles, levels: Doubles) -> Doubles:
        """The gain of bins that were edited."""
        settings = self._settings
        sent = np.rint(sent * self._steps) / self._steps
        target_db = settings.top_db + (shown - 1.0) * settings.range_db
        change_db = np.where(sent > 0.0, (shown - sent) * settings.range_db, target_db - levels)
        gain: Doubles = np.power(10.0, change_db / 20.0)
        gain[shown * self._steps < 0.5] = 0.0
        return gain


def _planes(settings: SpectrogramSettings, values: Values, pointer: str) -> Values:
    try:
        planes = settings.planes(values)
    except ValueError as error:
        told = str(error) if pointer == "/picture" else str(error).replace("picture", "mask")
        raise refused(pointer, "size", told) from error
    return planes


def on_8_bits(values: Values) -> bool:
    """Whether every value lies on one of 256 levels, however many bits it is kept with."""
    scaled = values * np.float32(255.0)
    return bool((np.abs(scaled - np.rint(scaled)) < 1e-3).all())
