"""Probe: one small picture by each way of making one, by verbs and by ComfyUI's own executor.

``test_goldens.py`` says what must come back, and why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from backend.bricks import (
    checkpoints,
    conditioning,
    direct,
    engine,
    latents,
    lora,
    pictures,
    recording,
    sampling,
    sockets,
    vae,
)
from backend.bricks._comfy import module
from backend.context import LOCAL
from backend.media.image import Image, Mask

MINI = "mini.safetensors"


def photo() -> Image:
    """A smooth picture, 32 x 32, in steps of a 255th, as a file holds it."""
    y, x = np.mgrid[0:32, 0:32] / 31
    smooth = np.stack([x, y, 1 - x], axis=-1)
    return Image.from_array((np.round(smooth * 255) / 255).astype(np.float32))


def square() -> Mask:
    """A mask of its middle."""
    values = np.zeros((32, 32), np.float32)
    values[8:24, 8:24] = 1
    return Mask.from_array(values)


class Scene:
    """A checkpoint and two conditionings, fresh for each picture, so that a recording is whole."""

    def __init__(self) -> None:
        self.checkpoint = checkpoints.load_checkpoint(MINI)
        self.model, self.clip, self.vae = (
            self.checkpoint.model,
            self.checkpoint.clip,
            self.checkpoint.vae,
        )

    def texts(self) -> tuple[Any, Any]:
        return tuple(conditioning.encode_text(self.clip, text) for text in ("a red cat", "blurry"))

    def picture(self, latent: Any, positive: Any, negative: Any, denoise: float = 1.0) -> Any:
        made = sampling.sample(
            self.model, positive, negative, latent, seed=5, steps=2, denoise=denoise
        )
        return vae.decode(self.vae, made)


def text_to_image() -> Any:
    scene = Scene()
    return scene.picture(latents.empty(32, 32), *scene.texts())


def image_to_image() -> Any:
    scene = Scene()
    latent = vae.encode(scene.vae, pictures.given(photo(), "golden.png"))
    return scene.picture(latent, *scene.texts(), denoise=0.6)


def inpaint() -> Any:
    scene = Scene()
    image = pictures.given(photo(), "golden.png")
    mask = pictures.given_mask(square(), "golden_mask.png")
    positive, negative, latent = conditioning.inpaint(*scene.texts(), scene.vae, image, mask)
    return pictures.lay_over(image, scene.picture(latent, positive, negative), mask)


def with_lora() -> Any:
    scene = Scene()
    scene.model, scene.clip, _ = lora.apply(scene.model, scene.clip, "fits.safetensors")
    return scene.picture(latents.empty(32, 32), *scene.texts())


def with_controlnet() -> Any:
    scene = Scene()
    net = checkpoints.load_controlnet("guide.safetensors")
    image = pictures.given(photo(), "golden.png")
    both = conditioning.apply_controlnet(*scene.texts(), net, image, strength=0.8)
    return scene.picture(latents.empty(32, 32), *both)


def upscale() -> Any:
    upscaler = checkpoints.load_upscaler("x4.safetensors")
    small = pictures.scale(pictures.given(photo(), "golden.png"), 8, 8)
    return pictures.enlarge(upscaler, small)


WAYS: tuple[Callable[[], Any], ...] = (
    *(text_to_image, image_to_image, inpaint),
    *(with_lora, with_controlnet, upscale),
)


def sheet(folder: Path) -> dict[str, bool]:
    """All pictures side by side as ``sheet.png``; whether ComfyUI's executor, given the graph that
    was recorded of each, makes the same one, to the last bit."""
    inputs = Path(module("folder_paths").get_input_directory())
    inputs.mkdir(parents=True, exist_ok=True)
    photo().save(inputs / "golden.png")
    Image.from_array(np.repeat(square().values[..., None], 3, -1)).save(inputs / "golden_mask.png")
    made, same = [], {}
    for way in WAYS:
        pixels, graph = direct.run(partial(_recorded, way), LOCAL)
        result = engine.current().run(graph, assets={}, ctx=LOCAL, folder=folder)
        (again,) = result.of("image")
        made.append(_eight_bits(pixels))
        same[way.__name__] = np.array_equal(made[-1], _eight_bits(again))
    Image.from_array(np.concatenate(made, axis=1).astype(np.float32) / 255).save(
        folder / "sheet.png"
    )
    for name in ("golden.png", "golden_mask.png"):
        (inputs / name).unlink()
    return same


def _recorded(way: Callable[[], Any]) -> tuple[Image, dict[str, Any]]:
    with recording.recording() as done:
        pixels = way()
        done.add("KinoSaveAsset", {"name": "golden", "image": pixels}, ())
    assert done.whole
    return sockets.image_from_socket(pixels)[0], done.nodes


def _eight_bits(image: Image) -> Any:
    return np.round(np.asarray(image.pixels[..., :3]) * 255).astype(np.uint8)
