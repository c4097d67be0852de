"""Pictures: facts, size, channels, depth, and the formats they are saved in.

Knows: float32 pixels in numpy, Pillow for resampling, JPEG and WebP; equal calls, equal bytes.
Does not know: parameters' ranges.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from backend.media import png
from backend.media.file import File
from backend.media.image import Image, Mask
from backend.plugins import refused, scratch_folder

from .formats import ImageChannels, ImageFacts, ImageFormat, LoadedImage, MaskOf, labelled

Pixels = NDArray[np.float32]
PIXEL_BUDGET: Final = 50_000_000
_LUMA: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of red, green and blue in ITU-R BT.709."""

_SUFFIX: Final[dict[ImageFormat, str]] = {
    "png_8bit": ".png",
    "png_16bit": ".png",
    "jpeg": ".jpg",
    "webp": ".webp",
    "webp_lossless": ".webp",
}
_MOST_SIDE: Final = {".jpg": 65_500, ".webp": 16_383}
"""Pixels of the longer side that libjpeg and WebP's container hold."""
_MEDIA_TYPE: Final = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}


def probe(image: Image) -> ImageFacts:
    """All facts of *image*; the extremes count every channel."""
    pixels = image.pixels
    return ImageFacts(
        image.width,
        image.height,
        image.channels,
        image.bit_depth,
        float(pixels.min()),
        float(pixels.max()),
    )


def load(image: Image, channels: ImageChannels, mask_of: MaskOf) -> LoadedImage:
    """*image* with these channels, and the mask that was asked for."""
    pixels = image.pixels
    if pixels.shape[2] == 4:
        alpha = np.ascontiguousarray(pixels[:, :, 3])
        mask = 1.0 - alpha if mask_of == "transparency" else alpha
    else:
        mask = np.full(pixels.shape[:2], 1.0 if mask_of == "opacity" else 0.0, np.float32)
    chosen = _with_channels(pixels, channels)
    same = chosen.shape[2] == image.channels
    colour = image if same else Image.from_array(chosen, image.bit_depth)
    return LoadedImage(colour, Mask.from_array(mask), image.width, image.height)


def convert(
    image: Image,
    width: int | None,
    height: int | None,
    channels: ImageChannels,
    bit_depth: int | None,
) -> Image:
    """*image* in another size, with other channels or another depth.

    Raises `InvalidParameters` for a size over 50 Mpx.
    """
    size = _size(image, width, height)
    pixels = _with_channels(image.pixels, channels)
    if size != (image.width, image.height):
        pixels = resized(pixels, size)
    return Image.from_array(pixels, bit_depth or image.bit_depth)


def save(image: Image, image_format: ImageFormat, file_name: str, quality: int) -> File:
    """Write *image* into the run's scratch folder; values outside 0..1 are clipped.

    Raises `InvalidParameters` for transparency in a JPEG, and for a side that is too long for the
    format.
    """
    suffix = _SUFFIX[image_format]
    most = _MOST_SIDE.get(suffix)
    if most is not None and max(image.width, image.height) > most:
        told = f"{image.width} x {image.height}; {image_format} ends at {most} pixels a side"
        raise refused("/format", "pixels", told)
    path = scratch_folder() / f"saved-{uuid.uuid4().hex}{suffix}"
    if image_format in ("png_8bit", "png_16bit"):
        png.write(path, png.to_grid(image.pixels, 16 if image_format == "png_16bit" else 8))
    elif image_format == "jpeg":
        _write(path, _opaque(image.pixels), "JPEG", quality=quality, subsampling=0)
    elif image_format == "webp":
        _write(path, _colour(image.pixels), "WEBP", quality=quality, method=4)
    else:
        _write(path, _colour(image.pixels), "WEBP", lossless=True, exact=True, method=4)
    return File(path, _MEDIA_TYPE[suffix], labelled(file_name, suffix))


def _write(path: Path, pixels: Pixels, form: str, **options: Any) -> None:
    import PIL.Image

    array = png.to_grid(pixels, 8)
    picture = PIL.Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    with path.open("xb") as file:
        picture.save(file, form, **options)


def _opaque(pixels: Pixels) -> Pixels:
    if pixels.shape[2] < 4:
        return pixels
    if (pixels[:, :, 3] < 1.0).any():
        sentence = "JPEG has no transparency and the image is not opaque; choose PNG or WebP"
        raise refused("/format", "transparency", sentence)
    return np.ascontiguousarray(pixels[:, :, :3])


def _colour(pixels: Pixels) -> Pixels:
    """WebP has no grey."""
    return pixels if pixels.shape[2] > 1 else _rgb(pixels)


def _rgb(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[:, :, :3])


def _with_channels(pixels: Pixels, channels: ImageChannels) -> Pixels:
    if channels == "as_is":
        return pixels
    if channels == "grey":
        if pixels.shape[2] == 1:
            return pixels
        grey: Pixels = pixels[:, :, :3] @ _LUMA
        return grey[:, :, np.newaxis]
    if channels == "rgb" or pixels.shape[2] == 4:
        return pixels if channels == "rgba" else _rgb(pixels)
    opaque = np.ones((*pixels.shape[:2], 1), np.float32)
    return np.concatenate([_rgb(pixels), opaque], axis=2)


def _size(image: Image, width: int | None, height: int | None) -> tuple[int, int]:
    """The size asked for, with the proportions kept where one side is open."""
    if width is None:
        width = round(image.width * height / image.height) if height else image.width
        size = (max(1, width), height or image.height)
    else:
        size = (width, height or max(1, round(image.height * width / image.width)))
    if size[0] * size[1] > PIXEL_BUDGET:
        raise refused("/width", "pixels", f"{size[0]} x {size[1]} is over {PIXEL_BUDGET} pixels")
    return size


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Lanczos on float values, channel by channel; colour is weighted by alpha if there is one."""
    import PIL.Image

    alpha = pixels[:, :, 3] if pixels.shape[2] == 4 else None
    made = np.empty((size[1], size[0], pixels.shape[2]), np.float32)
    # one plane at a time: of the largest pictures each copy is 0.75 GiB
    for channel in range(pixels.shape[2]):
        plane = pixels[:, :, channel]
        if alpha is not None and channel < 3:
            plane = plane * alpha
        drawn = PIL.Image.fromarray(np.ascontiguousarray(plane))
        made[:, :, channel] = np.asarray(drawn.resize(size, PIL.Image.Resampling.LANCZOS))
    if alpha is not None:
        made[:, :, :3] /= np.where(made[:, :, 3:] > 0, made[:, :, 3:], 1.0)
    return np.clip(made, 0.0, 1.0, out=made)
