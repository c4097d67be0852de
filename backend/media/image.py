"""Images and masks: pixels in memory or in a PNG file.

Knows: float32 pixels ``[H, W, C]`` and mask values ``[H, W]``, 0..1, and the PNG behind them.
Does not know: other formats (``media.decoding``), colour spaces, and how a spectrogram is made.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend import context
from backend.media import png
from backend.media.finite import check_finite
from backend.media.reference import MediaValue
from backend.media.spectrogram import SpectrogramSettings


@dataclass(frozen=True, slots=True, eq=False)
class Image(MediaValue):
    """A still picture: 1 (grey), 3 (RGB) or 4 (RGBA) channels, saved with 8 or 16 bits.

    ``path`` is its PNG file, or None while the pixels are in memory. ``spectrogram`` says how a
    picture of sound was made; it lies inside the file. ``texts`` are others' notes by their PNG
    keyword (ComfyUI's ``prompt``), in ASCII; they are written, and not read back.
    """

    kind: ClassVar[str] = "image"
    width: int
    height: int
    channels: int
    bit_depth: int = 8
    path: Path | None = None
    held: NDArray[np.float32] | None = field(default=None, repr=False)
    spectrogram: SpectrogramSettings | None = None
    texts: Mapping[str, str] | None = field(default=None, repr=False)

    @classmethod
    def from_array(
        cls,
        pixels: ArrayLike,
        bit_depth: int = 8,
        spectrogram: SpectrogramSettings | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> Self:
        """An image in memory from float ``[H, W, C]`` or grey ``[H, W]``, 0..1.

        Raises ``ValueError`` for other shapes and for a depth that is neither 8 nor 16.
        """
        array = np.ascontiguousarray(pixels, dtype=np.float32)
        if array.ndim == 2:
            array = array[:, :, np.newaxis]
        if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
            raise ValueError(f"pixels are [H, W, C] with 1, 3 or 4 channels, not {array.shape}")
        if bit_depth not in (8, 16):
            raise ValueError(f"an image has 8 or 16 bits, not {bit_depth}")
        height, width, channels = array.shape
        return cls(width, height, channels, bit_depth, None, array, spectrogram, texts)

    @classmethod
    def open(cls, path: Path) -> Self:
        """An image of a PNG file; only the header is read now. Raises ``png.NotPng``."""
        info = png.read_info(path)
        settings = SpectrogramSettings.from_text(info.note) if info.note else None
        return cls(
            info.width, info.height, info.channels, info.bit_depth, path, spectrogram=settings
        )

    @property
    def pixels(self) -> NDArray[np.float32]:
        """All pixels, float32 ``[H, W, C]``, C-contiguous. Not to be written to.

        Raises `Unfit` for pixels that are not finite.
        """
        if self.held is not None:
            check_finite(self.held, "image", self)
            return self.held
        return png.from_grid(png.read(_file(self.path)))

    def in_file(self) -> Self:
        """The image as a PNG file in the run's scratch folder: many of them need no memory then.

        Itself where it has a file, or where nobody would clear the folder.
        """
        if self.path is not None or not context.in_run():
            return self
        path = context.scratch_folder() / f"image-{uuid.uuid4().hex}.png"
        self.save(path)
        return type(self).open(path)

    def save(self, path: Path) -> None:
        """Write the PNG file; values outside 0..1 are clipped, equal pixels give equal bytes."""
        note = self.spectrogram.text() if self.spectrogram else None
        png.write(path, png.to_grid(self.pixels, self.bit_depth), note, self.texts)


@dataclass(frozen=True, slots=True, eq=False)
class Mask(MediaValue):
    """One value 0..1 for each pixel, saved as a grey PNG of 16 bits, or 8 where that is exact."""

    kind: ClassVar[str] = "mask"
    width: int
    height: int
    path: Path | None = None
    held: NDArray[np.float32] | None = field(default=None, repr=False)

    @classmethod
    def from_array(cls, values: ArrayLike) -> Self:
        """A mask in memory from float ``[H, W]``. Raises ``ValueError`` for other shapes."""
        array = np.ascontiguousarray(values, dtype=np.float32)
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(f"a mask is [H, W], not {array.shape}")
        return cls(array.shape[1], array.shape[0], None, array)

    @classmethod
    def open(cls, path: Path) -> Self:
        """A mask of any PNG file; of a colour image `values` is the mean of red, green and blue."""
        info = png.read_info(path)
        return cls(info.width, info.height, path)

    @property
    def values(self) -> NDArray[np.float32]:
        """All values, float32 ``[H, W]``, C-contiguous. Not to be written to.

        Raises `Unfit` for values that are not finite.
        """
        if self.held is not None:
            check_finite(self.held, "mask", self)
            return self.held
        pixels = png.from_grid(png.read(_file(self.path)))
        if pixels.shape[2] == 1:
            return np.ascontiguousarray(pixels[:, :, 0])
        return np.ascontiguousarray(pixels[:, :, :3].mean(axis=2, dtype=np.float32))

    def save(self, path: Path) -> None:
        """Write the grey PNG file; values outside 0..1 are clipped; equal masks, equal bytes."""
        values = self.values
        small = png.to_grid(values, 8)
        exact = np.array_equal(png.from_grid(small), values)
        png.write(path, (small if exact else png.to_grid(values, 16))[:, :, np.newaxis])


def _file(path: Path | None) -> Path:
    if path is None:
        raise ValueError("a picture needs values or a file")
    return path
