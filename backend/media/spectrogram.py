"""Spectrograms: the settings that a picture of sound needs to become sound again.

Knows: what one pixel of such a picture stands for, and the text that carries this inside a PNG.
Does not know: how a spectrum is computed (``plugins.spectral``), and files.

A spectrogram is an `Image` with settings (``Image.spectrogram``). It is grey, 8 or 16 bits. One
column is one window, one row one bin, frequency rises upwards, and the channels lie below each
other, the first on top. Black is *range_db* below *top_db* and everything beneath, white is
*top_db*; 0 dB is a sine of full scale in the middle of its bin. Padding, black, lies right and
below.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

import numpy as np
from annotated_types import Ge, Le, MultipleOf
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.units import Decibels, Frames, Pixels, SampleRate

SMALLEST_N_FFT: Final = 64
LARGEST_N_FFT: Final = 4096
TEXT_KEY: Final = "spectrogram"

NFft = Annotated[int, Ge(SMALLEST_N_FFT), Le(LARGEST_N_FFT), MultipleOf(2)]
HopLength = Annotated[int, Ge(1), Le(LARGEST_N_FFT // 2)]
Count = Annotated[int, Ge(0), Le(2**40)]

Values = NDArray[np.float32]


def column_count(frames: int, hop_length: int) -> int:
    """Windows over a sound of *frames* samples: one each hop, first and last sample covered."""
    return -(-frames // hop_length) + 1


class SpectrogramSettings(BaseModel):
    """How a spectrogram was made: the window is Hann's, of *n_fft* samples, in the middle of which
    column m has sample m · *hop_length* of the sound."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    n_fft: NFft
    hop_length: HopLength
    sample_rate: Annotated[SampleRate, Ge(1), Le(10**7)]
    channels: Annotated[int, Ge(1), Le(2**16)]
    frames: Annotated[Frames, Ge(1), Le(2**40)]
    """Length of the whole sound, in samples."""
    first_column: Count = 0
    """Column of the sound that is the picture's first."""
    columns: Annotated[int, Ge(1), Le(2**31)]
    top_db: Decibels = 0.0
    range_db: Annotated[Decibels, Ge(20), Le(200)] = 100.0
    bit_depth: Literal[8, 16] = 16
    pad_right: Annotated[Pixels, Ge(0), Le(4096)] = 0
    pad_bottom: Annotated[Pixels, Ge(0), Le(4096)] = 0
    source: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Digest of the sound's samples (blake3 over interleaved 32-bit floats), to know it again."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.hop_length > self.n_fft // 2:
            raise ValueError("hop_length is at most half of n_fft")
        if self.first_column + self.columns > column_count(self.frames, self.hop_length):
            raise ValueError("there are more columns than the sound has")
        return self

    @property
    def bins(self) -> int:
        """Rows of one channel: frequencies from 0 to half the sample rate."""
        return self.n_fft // 2 + 1

    @property
    def width(self) -> int:
        """Of the picture, in pixels."""
        return self.columns + self.pad_right

    @property
    def height(self) -> int:
        """Of the picture, in pixels."""
        return self.channels * self.bins + self.pad_bottom

    def text(self) -> str:
        """As it stands in a PNG; equal settings give equal text."""
        return f'{{"{TEXT_KEY}":{self.model_dump_json()}}}'

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """The settings in a PNG's text, or None if it holds none that are whole and agree."""
        prefix = f'{{"{TEXT_KEY}":'
        if not (text.startswith(prefix) and text.endswith("}")):
            return None
        try:
            return cls.model_validate_json(text[len(prefix) : -1])
        except ValidationError:
            # a text like this from elsewhere is like any other metadata: left behind
            return None

    def pixels(self, planes: Values) -> Values:
        """Values ``[channels, bins, columns]``, lowest bin first, as pixels ``[H, W]``."""
        stacked = planes[:, ::-1].reshape(self.channels * self.bins, self.columns)
        return np.pad(stacked, ((0, self.pad_bottom), (0, self.pad_right)))

    def planes(self, pixels: Values) -> Values:
        """Pixels ``[H, W]`` as values ``[channels, bins, columns]``; padding is cut off.

        Raises ``ValueError`` for a picture of another size.
        """
        if pixels.shape != (self.height, self.width):
            high, wide = pixels.shape
            raise ValueError(
                f"the picture has {wide} x {high} pixels, and by its settings it should have "
                f"{self.width} x {self.height}"
            )
        rows = pixels[: self.channels * self.bins, : self.columns]
        return rows.reshape(self.channels, self.bins, self.columns)[:, ::-1]
