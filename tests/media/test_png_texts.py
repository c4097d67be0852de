"""Texts that other programs look for in a PNG file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from backend.media.image import Image


def test_texts_go_into_the_file_beside_the_pixels(tmp_path: Path) -> None:
    """Pillow, as ComfyUI, reads them; the pixels are the same; equal texts give equal bytes."""
    pixels = np.random.default_rng(0).random((5, 7, 3), np.float32)
    texts = {"prompt": '{"1": {"class_type": "SaveImage"}}', "other": "x" * 9000}
    for name, given in (("one", texts), ("two", dict(texts)), ("bare", None)):
        Image.from_array(pixels, texts=given).save(tmp_path / f"{name}.png")
    with PIL.Image.open(tmp_path / "one.png") as opened:
        assert opened.info == texts
        seen = np.asarray(opened)
    with PIL.Image.open(tmp_path / "bare.png") as opened:
        assert np.array_equal(seen, np.asarray(opened))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert np.array_equal(Image.open(tmp_path / "one.png").pixels * 255, seen)
