"""Pictures that are compared exactly: with ComfyUI's own executor, and with stored ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

pytestmark = pytest.mark.xdist_group("heavy")

HERE = Path(__file__).parent
NAMES = [*("text_to_image", "image_to_image", "inpaint", "with_lora", "with_controlnet", "upscale")]


def test_every_way_makes_its_golden_picture(painter: Any) -> None:
    """Verbs make, to the last bit, what ComfyUI's executor makes of the same graph in the same
    process, on whatever machine; and what was stored, to the last bit with the torch and the sort
    of CPU that ``golden.json`` names and one thread, elsewhere to what a rounding may change."""
    assert painter.call(HERE / "goldens.py", "sheet") == dict.fromkeys(NAMES, True)
    made = np.asarray(PIL.Image.open(painter.folder / "sheet.png")).astype(int)
    stored = np.asarray(PIL.Image.open(HERE / "golden" / "sheet.png")).astype(int)
    assert made.shape == (32, 32 * len(NAMES), 3)
    tiles = np.split(made, len(NAMES), axis=1)
    assert len({tile.tobytes() for tile in tiles}) == len(NAMES)
    wrote = json.loads((HERE / "golden" / "sheet.json").read_text())
    if all(painter.facts[name] == wrote[name] for name in wrote):
        assert np.array_equal(made, stored)
    for tile, golden in zip(tiles, np.split(stored, len(NAMES), axis=1), strict=True):
        assert np.abs(tile - golden).mean() < 2
