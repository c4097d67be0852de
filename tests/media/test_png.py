"""PNG files: exact at 8 and 16 bits, deterministic, and careful with damage."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backend.errors import OperationFailed
from backend.media import png


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pixels=st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda kind: arrays.arrays(
            kind, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4]))
        )
    )
)
def test_every_pixel_survives(tmp_path: Path, pixels: np.ndarray):
    """Any 8 or 16-bit pixels, grey, RGB and RGBA, come back to the bit."""
    path = tmp_path / "x.png"
    path.unlink(missing_ok=True)
    png.write(path, pixels)
    read = png.read(path)
    assert read.dtype == pixels.dtype
    assert np.array_equal(read, pixels)
    info = png.read_info(path)
    assert (info.height, info.width, info.channels) == pixels.shape
    assert info.bit_depth == pixels.dtype.itemsize * 8


@pytest.mark.parametrize("depth", [8, 16])
def test_the_grid_goes_through_float_unchanged(depth: int):
    """Every value of the grid becomes a float32 in 0..1 and comes back as itself."""
    steps = np.arange(2**depth)
    grid: png.Pixels = steps.astype(np.uint16) if depth == 16 else steps.astype(np.uint8)
    values = png.from_grid(grid)
    assert values.dtype == np.float32
    assert (values.min(), values.max()) == (0.0, 1.0)
    assert np.array_equal(png.to_grid(values, depth), grid)


def test_values_that_are_not_finite_are_never_written():
    """NaN in a picture is an error, not black."""
    with pytest.raises(OperationFailed, match="NaN"):
        png.to_grid(np.array([[np.nan]], np.float32), 8)


def test_others_read_what_we_write(tmp_path: Path):
    """Pillow reads our 8-bit files, PyAV our 16-bit ones, with the same pixels."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    png.write(tmp_path / "8.png", small)
    with PIL.Image.open(tmp_path / "8.png") as image:
        assert np.array_equal(np.asarray(image), small)
    big = rng.integers(0, 65536, (40, 30, 4), dtype=np.uint16)
    png.write(tmp_path / "16.png", big)
    assert np.array_equal(
        png._read_av(tmp_path / "16.png", png.read_info(tmp_path / "16.png")), big
    )


def test_a_foreign_16_bit_file_keeps_its_bits(tmp_path: Path):
    """A 16-bit file with other row filters than ours is read at full depth."""
    grey = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    PIL.Image.fromarray(grey).save(tmp_path / "x.png")
    assert np.array_equal(png.read(tmp_path / "x.png")[:, :, 0], grey)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 4), ("P", 3), ("RGB", 3), ("RGBA", 4)]
)
def test_every_kind_of_8_bit_png_is_read(tmp_path: Path, mode: str, channels: int):
    """Palettes, single bits and grey with alpha become grey, RGB or RGBA as the header said."""
    PIL.Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(tmp_path / "x.png")
    assert png.read_info(tmp_path / "x.png").channels == channels
    pixels = png.read(tmp_path / "x.png")
    assert pixels.shape == (4, 5, channels)
    assert (pixels == 255).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_half_a_file_is_refused(tmp_path: Path, kind: type):
    """A cut file raises instead of giving a picture that is half black."""
    png.write(
        tmp_path / "x.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(kind)
    )
    whole = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(png.NotPng):
        png.read(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes(whole[:20])
    with pytest.raises(png.NotPng):
        png.read_info(tmp_path / "x.png")


def test_pixels_beyond_the_declared_size_are_never_unpacked(tmp_path: Path):
    """A small file that would unpack to hundreds of megabytes is refused at the declared size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", 4, 4, 16, 0, 0, 0, 0)
    bomb = zlib.compress(bytes(200 * 2**20), 9)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bomb) + chunk(b"IEND", b"")
    )
    tracemalloc.start()
    try:
        with pytest.raises(png.NotPng, match="more pixels"):
            png.read(path)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()
