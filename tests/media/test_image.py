"""Images and masks: pixels in memory or in a PNG file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.media import png
from backend.media.image import Image, Mask

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_image_on_the_grid_survives_its_file(tmp_path: Path, depth: int, channels: int):
    """Pixels on the grid of 8 or 16 bits come back from the file as the same float32."""
    noise = RNG.integers(0, 2**depth, (11, 13, channels))
    grid: png.Pixels = noise.astype(np.uint16) if depth == 16 else noise.astype(np.uint8)
    pixels = png.from_grid(grid)
    image = Image.from_array(pixels, depth)
    image.save(tmp_path / "x.png")
    opened = Image.open(tmp_path / "x.png")
    assert (opened.width, opened.height, opened.channels, opened.bit_depth) == (
        13,
        11,
        channels,
        depth,
    )
    assert np.array_equal(opened.pixels, pixels)
    assert opened.pixels.flags.c_contiguous


def test_two_dimensions_are_grey():
    """[H, W] becomes an image of one channel."""
    assert Image.from_array(np.zeros((4, 6))).pixels.shape == (4, 6, 1)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 5), (0, 4, 3), (1, 4, 4, 3)])
def test_other_shapes_are_no_image(shape: tuple[int, ...]):
    """Batches, two or five channels and empty pictures are refused with the shape."""
    with pytest.raises(ValueError, match="pixels are"):
        Image.from_array(np.zeros(shape))


def test_values_outside_are_clipped_when_saved(tmp_path: Path):
    """A picture has no more than white and no less than black in its file."""
    Image.from_array(np.array([[[-1.0], [2.0]]])).save(tmp_path / "x.png")
    assert Image.open(tmp_path / "x.png").pixels.ravel().tolist() == [0.0, 1.0]


def test_a_mask_takes_8_bits_where_they_are_exact(tmp_path: Path):
    """A mask from 8-bit values needs 8 bits, any other gets 16; both come back on their grid."""
    hard = Mask.from_array(png.from_grid(RNG.integers(0, 256, (7, 5)).astype(np.uint8)))
    hard.save(tmp_path / "hard.png")
    assert png.read_info(tmp_path / "hard.png").bit_depth == 8
    assert np.array_equal(Mask.open(tmp_path / "hard.png").values, hard.values)
    soft = Mask.from_array(RNG.random((7, 5)))
    soft.save(tmp_path / "soft.png")
    assert png.read_info(tmp_path / "soft.png").bit_depth == 16
    opened = Mask.open(tmp_path / "soft.png")
    assert np.abs(opened.values - soft.values).max() <= 0.5 / 65535 + 1e-7
    assert (opened.width, opened.height) == (5, 7)


def test_a_colour_image_serves_as_a_mask(tmp_path: Path):
    """The mask of a colour image is the mean of its colours, without its alpha."""
    Image.from_array(np.array([[[1.0, 0.0, 0.0, 0.5]]])).save(tmp_path / "x.png")
    assert Mask.open(tmp_path / "x.png").values == pytest.approx(np.array([[1 / 3]]))
