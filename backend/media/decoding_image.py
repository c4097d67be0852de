"""Decoding pictures: any accepted format, in full, into PNG pixels.

Knows: Pillow with an allow-list and a budget of pixels, and how to see that a file is cut.
Does not know: where the file came from.
"""

from __future__ import annotations

import mmap
import struct
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from backend.errors import AssetRejected, AssetTooLarge
from backend.media import png
from backend.media.image import Image
from backend.media.spectrogram import SpectrogramSettings

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_ALPHA: Final = ("LA", "La", "PA", "RGBA", "RGBa")


def decode(path: Path, folder: Path, pixel_budget: int) -> Image:
    """Decode the picture at *path* into a PNG file in *folder*; upright, without metadata.

    The settings of a spectrogram stay, read and written anew: without them it is only a picture.

    Raises `AssetRejected`, and `AssetTooLarge` over *pixel_budget* (width x height x frames).
    """
    import PIL.Image
    from PIL import UnidentifiedImageError

    # the budget below is stricter, and knows frames
    PIL.Image.MAX_IMAGE_PIXELS = None
    try:
        with PIL.Image.open(path, formats=FORMATS) as image:
            frames = int(getattr(image, "n_frames", 1))
            if image.width * image.height * frames > pixel_budget:
                raise AssetTooLarge(
                    f"the image has {image.width} x {image.height} pixels in {frames} frame(s), "
                    f"more than the {pixel_budget} allowed (limit image_pixels)",
                    rule="image_pixels",
                )
            if frames > 1:
                told = f"the image holds {frames} frames; a single picture is needed"
                raise AssetRejected(told, rule="frames")
            _check_whole(path, image.format or "")
            pixels = _pixels(path, image)
            settings = _spectrogram(path) if image.format == "PNG" else None
    except UnidentifiedImageError as error:
        told = "the file looks like an image but cannot be read as one"
        raise AssetRejected(told, rule="damaged") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError) as error:
        raise AssetRejected("the image is damaged or cut", rule="damaged") from error
    target = folder / f"image-{uuid.uuid4().hex}.png"
    png.write(target, pixels, settings.text() if settings else None)
    return Image.open(target)


def _spectrogram(path: Path) -> SpectrogramSettings | None:
    note = png.read_info(path).note
    return SpectrogramSettings.from_text(note) if note else None


def _pixels(path: Path, image: PillowImage) -> png.Pixels:
    """All pixels, ``[H, W, C]``, 16 bits where the file has them."""
    from PIL import ImageOps

    image.load()
    if image.format == "PNG" and png.read_info(path).bit_depth == 16:
        return png.read(path)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[:, :, np.newaxis]
    if image.mode in ("I", "F"):
        told = "images with 32 bits a sample are not accepted; 8 or 16 are"
        raise AssetRejected(told, rule="bit_depth")
    upright = ImageOps.exif_transpose(image)
    if image.mode in _ALPHA or "transparency" in image.info:
        upright = upright.convert("RGBA")
    else:
        upright = upright.convert("L" if image.mode in ("1", "L") else "RGB")
    array = np.asarray(upright, dtype=np.uint8)
    return array.reshape(upright.height, upright.width, -1)


def _check_whole(path: Path, form: str) -> None:
    """Refuse a cut PNG or JPEG, of which Pillow shows as much as there is."""
    if form not in ("PNG", "JPEG", "MPO"):
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        if form == "PNG":
            whole = _png_is_whole(view)
        else:
            # no end-of-image marker after the last scan: the scan was cut
            whole = view.rfind(b"\xff\xd9") > view.rfind(b"\xff\xda")
    if not whole:
        raise AssetRejected("the image is damaged or cut", rule="damaged")


def _png_is_whole(view: mmap.mmap) -> bool:
    """Whether every chunk up to the last is there, each with the right checksum."""
    position = len(png.SIGNATURE)
    while position + 12 <= len(view):
        length, name = struct.unpack(">I4s", view[position : position + 8])
        end = position + 12 + length
        if end > len(view):
            return False
        checksum = struct.unpack(">I", view[end - 4 : end])[0]
        if zlib.crc32(view[position + 4 : end - 4]) != checksum:
            return False
        if name == b"IEND":
            return True
        position = end
    return False
