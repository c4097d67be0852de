"""Decoding pictures: all pixels of one whole picture, or a sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from backend.errors import AssetRejected, AssetTooLarge
from backend.media import png
from backend.media.decoding import Limits, decode_upload

PIXELS = np.random.default_rng(6).integers(0, 256, (48, 64, 3), dtype=np.uint8)
FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "GIF": "gif"}


def saved(tmp_path: Path, form: str, **options) -> Path:
    path = tmp_path / f"upload.{FORMATS[form]}"
    PIL.Image.fromarray(PIXELS).save(path, form, **options)
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_every_accepted_format_becomes_a_png(tmp_path: Path, form: str):
    """Each format gives a PNG of its size; the lossless ones the very pixels."""
    stored = decode_upload(saved(tmp_path, form), tmp_path, Limits())
    assert (stored.kind, stored.media_type) == ("image", "image/png")
    assert (stored.details["width"], stored.details["height"]) == (64, 48)
    if form in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(png.read(stored.path), PIXELS)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("cut", [20, 400, "half"])
def test_a_cut_picture_is_refused(tmp_path: Path, form: str, cut: int | str):
    """Half a picture, or one without its end, never becomes a picture with a grey part."""
    path = saved(tmp_path, form)
    raw = path.read_bytes()
    path.write_bytes(raw[: -(len(raw) // 2 if cut == "half" else int(cut))])
    with pytest.raises(AssetRejected, match="damaged or cut"):
        decode_upload(path, tmp_path, Limits())


def test_a_changed_byte_in_a_png_is_seen(tmp_path: Path):
    """A PNG whose checksum is wrong is damaged, even where a decoder would not notice."""
    path = saved(tmp_path, "PNG", dpi=(300, 300))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"pHYs") + 5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(AssetRejected):
        decode_upload(path, tmp_path, Limits())


def test_16_bits_stay_16_bits(tmp_path: Path):
    """A 16-bit RGB upload keeps every bit."""
    big = np.random.default_rng(8).integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    png.write(tmp_path / "upload.png", big)
    stored = decode_upload(tmp_path / "upload.png", tmp_path, Limits())
    assert stored.details["bit_depth"] == 16
    assert np.array_equal(png.read(stored.path), big)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path):
    """A bomb of 60 000 x 60 000 pixels in a small file is over the named limit at once."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    (tmp_path / "upload").write_bytes(
        png.SIGNATURE
        + png._chunk(b"IHDR", head)
        + png._chunk(b"IDAT", body)
        + png._chunk(b"IEND", b"")
    )
    with pytest.raises(AssetTooLarge, match=r"limit image_pixels"):
        decode_upload(tmp_path / "upload", tmp_path, Limits())


def test_frames_count_as_pixels_and_a_film_is_no_picture(tmp_path: Path):
    """An animation is refused, over the budget for its size, below it for its frames."""
    frames = [PIL.Image.new("RGB", (10, 10), (i * 20, 0, 0)) for i in range(5)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(AssetRejected, match="5 frames"):
        decode_upload(tmp_path / "x.gif", tmp_path, Limits())
    with pytest.raises(AssetTooLarge, match="5 frame"):
        decode_upload(tmp_path / "x.gif", tmp_path, Limits(image_pixels=499))


def test_a_photograph_stands_upright_and_tells_nothing(tmp_path: Path):
    """The camera's rotation is applied, and its metadata are gone from the canonical file."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Secret Camera"
    stored = decode_upload(saved(tmp_path, "JPEG", exif=exif), tmp_path, Limits())
    assert (stored.details["width"], stored.details["height"]) == (48, 64)
    assert b"Secret" not in stored.path.read_bytes()


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 4), ("P", 3), ("CMYK", 3)]
)
def test_every_mode_becomes_grey_rgb_or_rgba(tmp_path: Path, mode: str, channels: int):
    """Palettes, bits, alpha and print colours all end as one of three layouts."""
    form = "TIFF" if mode == "CMYK" else "PNG"
    PIL.Image.fromarray(PIXELS).convert(mode).save(tmp_path / "upload", form)
    stored = decode_upload(tmp_path / "upload", tmp_path, Limits())
    assert stored.details["channels"] == channels
