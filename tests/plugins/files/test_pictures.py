"""Probing, converting and saving pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from backend import context
from backend.errors import InvalidParameters
from backend.media import png
from backend.media.image import Image
from backend.plugins.files.operations import convert_image, load_image, probe_image, save_image

RNG = np.random.default_rng(11)
RGB = Image.from_array(png.from_grid(RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)))
RGBA = Image.from_array(png.from_grid(RNG.integers(0, 255, (20, 30, 4)).astype(np.uint8)))


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path):
    with context.scratch_in(tmp_path):
        yield


def test_the_facts_of_a_picture():
    """Size, channels, depth and extremes."""
    image = Image.from_array(np.array([[[0.25], [0.75]]]), 16)
    assert tuple(probe_image(image)) == (2, 1, 1, 16, 0.25, 0.75)


def test_opacity_is_loaded_as_a_mask():
    """RGBA comes apart into RGB and alpha; without alpha the mask is full; grey becomes RGB."""
    loaded = load_image(RGBA)
    assert np.array_equal(loaded.image.pixels, RGBA.pixels[:, :, :3])
    assert np.array_equal(loaded.mask.values, RGBA.pixels[:, :, 3])
    assert load_image(RGB).image is RGB
    assert (load_image(RGB).mask.values == 1).all()
    assert load_image(Image.from_array([[0.5]])).image.pixels.tolist() == [[[0.5, 0.5, 0.5]]]


def test_channels_are_converted_by_their_rules():
    """Grey follows BT.709, alpha is added opaque and dropped silently."""
    grey = convert_image(RGB, channels="grey").pixels[:, :, 0]
    assert grey == pytest.approx(RGB.pixels @ np.array([0.2126, 0.7152, 0.0722]), abs=1e-6)
    assert (convert_image(RGB, channels="rgba").pixels[:, :, 3] == 1).all()
    assert np.array_equal(convert_image(RGBA, channels="rgb").pixels, RGBA.pixels[:, :, :3])
    assert convert_image(Image.from_array([[0.5]]), channels="rgba").channels == 4


@pytest.mark.parametrize(
    ("asked", "size"), [((15, None), (15, 10)), ((None, 10), (15, 10)), ((7, 5), (7, 5))]
)
def test_one_side_keeps_the_proportions(asked: tuple, size: tuple[int, int]):
    """With one side given the other follows; with both the picture is as asked."""
    image = convert_image(RGB, *asked)
    assert (image.width, image.height) == size


def test_colour_under_transparency_does_not_bleed():
    """Resizing weights colours by alpha: a red invisible half leaves a white half white."""
    pixels = np.ones((8, 8, 4), np.float32)
    pixels[:, 4:] = [1, 0, 0, 0]
    small = convert_image(Image.from_array(pixels), 4, 4).pixels
    visible = small[:, :, 3] > 0.01
    assert small[visible][:, :3] == pytest.approx(1.0, abs=1e-4)


def test_a_size_has_a_limit():
    """More than 50 million pixels are refused with the field."""
    with pytest.raises(InvalidParameters, match="50000000") as caught:
        convert_image(RGB, 16_000, 16_000)
    assert caught.value.errors[0].pointer == "/width"


@pytest.mark.parametrize("form", ["png_8bit", "webp_lossless"])
def test_lossless_formats_keep_every_pixel(form: str):
    """8-bit RGB and RGBA come back to the bit."""
    for image in (RGB, RGBA):
        saved = save_image(image, form)  # type: ignore[arg-type]
        with PIL.Image.open(saved.path) as opened:
            assert np.array_equal(np.asarray(opened), png.to_grid(image.pixels, 8))


def test_16_bits_are_saved_as_16_bits():
    """A picture between the 8-bit steps keeps them in a 16-bit PNG."""
    image = Image.from_array(png.from_grid(RNG.integers(0, 65536, (5, 6, 3)).astype(np.uint16)), 16)
    saved = save_image(image, "png_16bit", "deep")
    assert np.array_equal(Image.open(saved.path).pixels, image.pixels)
    assert (saved.name, saved.media_type) == ("deep.png", "image/png")


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_quality_makes_a_difference(form: str):
    """Lossy formats are close at 95, smaller at 10, and equal calls give equal bytes."""
    smooth = Image.from_array(np.linspace(0, 1, 64 * 64 * 3).reshape(64, 64, 3))
    good, again, poor = (save_image(smooth, form, quality=q) for q in (95, 95, 10))  # type: ignore[arg-type]
    with PIL.Image.open(good.path) as opened:
        assert np.asarray(opened) / 255 == pytest.approx(smooth.pixels, abs=0.05)
    assert good.path.read_bytes() == again.path.read_bytes()
    assert poor.path.stat().st_size < good.path.stat().st_size


def test_jpeg_refuses_transparency_and_takes_opaque_alpha():
    """A transparent picture names the field; an opaque one just loses its alpha."""
    with pytest.raises(InvalidParameters, match="transparency") as caught:
        save_image(RGBA, "jpeg")
    assert caught.value.errors[0].pointer == "/format"
    saved = save_image(convert_image(RGB, channels="rgba"), "jpeg")
    with PIL.Image.open(saved.path) as opened:
        assert opened.mode == "RGB"


@pytest.mark.parametrize(("form", "side"), [("jpeg", 65_501), ("webp", 16_384)])
def test_a_side_that_the_format_does_not_hold_is_refused(form: Any, side: int):
    """Long pictures within the budget of pixels: the rule, instead of the encoder's error."""
    with pytest.raises(InvalidParameters, match=f"ends at {side - 1} pixels") as caught:
        save_image(Image.from_array(np.zeros((1, side, 3), np.float32)), form)
    assert (caught.value.errors[0].pointer, caught.value.errors[0].rule) == ("/format", "pixels")


def test_grey_is_saved_in_every_format():
    """A picture of one channel is written by each format."""
    grey = Image.from_array(RNG.random((9, 9)))
    for form in ("png_8bit", "png_16bit", "jpeg", "webp", "webp_lossless"):
        with PIL.Image.open(save_image(grey, form).path) as opened:
            assert opened.size == (9, 9)
