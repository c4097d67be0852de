"""The settings of a spectrogram: as data, as text in a PNG, and as a layout of pixels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from backend.media import png
from backend.media.image import Image
from backend.media.spectrogram import SpectrogramSettings, column_count

GIVEN: dict[str, Any] = {
    "n_fft": 64, "hop_length": 16, "sample_rate": 44100, "channels": 2, "frames": 1000,
    "first_column": 3, "columns": 10, "top_db": -3.0, "range_db": 90.0, "bit_depth": 16,
    "pad_right": 6, "pad_bottom": 2, "source": "ab" * 32,
}  # fmt: skip


def test_every_sample_lies_between_two_columns() -> None:
    """The last column is at or behind the end, and there is none more."""
    for frames in (1, 15, 16, 17, 1000):
        last = (column_count(frames, 16) - 1) * 16
        assert frames <= last < frames + 16


def test_text_and_back() -> None:
    """Equal settings give equal text, which is read as the same settings."""
    settings = SpectrogramSettings(**GIVEN)
    assert SpectrogramSettings.from_text(settings.text()) == settings
    assert settings.text().isascii()
    assert settings.text() == SpectrogramSettings(**GIVEN).text()
    for text in ("", "a cat", '{"spectrogram":{}}', '{"spectrogram":', settings.text()[:-1]):
        assert SpectrogramSettings.from_text(text) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_fft": 65}, {"n_fft": 62}, {"n_fft": 4098}, {"hop_length": 33}, {"hop_length": 0},
        {"columns": 62}, {"frames": 0}, {"range_db": 5}, {"top_db": float("nan")},
        {"version": 2}, {"source": "../etc"}, {"cat": 1},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """Odd windows, lossy hops, columns behind the end, and fields that nobody knows."""
    with pytest.raises(ValidationError):
        SpectrogramSettings(**{**GIVEN, **wrong})


def test_channels_lie_below_each_other_and_frequency_rises() -> None:
    """The lowest bin of the first channel is the last row of the first plane; padding is black."""
    settings = SpectrogramSettings(**GIVEN)
    planes = np.arange(2 * 33 * 10, dtype=np.float32).reshape(2, 33, 10) + 1
    pixels = settings.pixels(planes)
    assert pixels.shape == (68, 16) == (settings.height, settings.width)
    assert pixels[32, 0] == planes[0, 0, 0]
    assert pixels[0, 0] == planes[0, 32, 0]
    assert pixels[33, 9] == planes[1, 32, 9]
    assert not pixels[66:].any() and not pixels[:, 10:].any()
    assert np.array_equal(settings.planes(pixels), planes)
    with pytest.raises(ValueError, match="16 x 67 pixels"):
        settings.planes(pixels[:-1])


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_an_image_carries_its_settings(tmp_path: Path, bit_depth: int) -> None:
    """Saved and opened it has them still, and pixels are as exact as without them."""
    settings = SpectrogramSettings(**GIVEN)
    pixels = np.random.default_rng(1).uniform(0, 1, (68, 16)).astype(np.float32)
    Image.from_array(pixels, bit_depth, settings).save(tmp_path / "with.png")
    Image.from_array(pixels, bit_depth).save(tmp_path / "without.png")
    opened = Image.open(tmp_path / "with.png")
    assert opened.spectrogram == settings
    assert Image.open(tmp_path / "without.png").spectrogram is None
    assert np.array_equal(opened.pixels, Image.open(tmp_path / "without.png").pixels)


def _with_chunk(path: Path, name: bytes, body: bytes) -> None:
    """Put a chunk behind the header of a PNG file."""
    data = path.read_bytes()
    chunk = struct.pack(">I", len(body)) + name + body
    chunk += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(data[:33] + chunk + data[33:])


@pytest.mark.parametrize(
    ("name", "body", "note"),
    [
        (b"tEXt", b"Kino\0here", "here"),
        (b"tEXt", b"Comment\0here", None),
        (b"tEXt", b"Kino", None),
        (b"tEXt", b"Kino\0\xff\xfe", None),
        (b"tEXt", b"Kino\0" + 5000 * b"x", None),
        (b"zTXt", b"Kino\0\0" + zlib.compress(b"here"), None),
    ],
)
def test_only_our_own_short_note_is_read(
    tmp_path: Path, name: bytes, body: bytes, note: str | None
) -> None:
    """Texts of others, other alphabets, endless ones and packed ones count as no note, and the
    picture is read all the same."""
    path = tmp_path / "x.png"
    png.write(path, np.full((2, 3, 1), 7, np.uint8))
    _with_chunk(path, name, body)
    assert png.read_info(path).note == note
    assert (png.read(path) == 7).all()
    assert Image.open(path).spectrogram is None
