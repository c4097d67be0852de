"""The node classes of the fake engine: a few of ComfyUI's, and some that misbehave on request.

Knows: what each takes, gives, and does; pixels as numpy ``[B, H, W, 3]``.
Does not know: graphs (`testing.engine`).
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from backend.bricks.engine import Produced
from backend.context import Cancelled
from backend.errors import OperationFailed
from backend.media.image import Image
from backend.media.reference import MediaValue

Spec = tuple[str, dict[str, Any]]
KINDS: Final = ("audio", "image", "mask", "midi", "automation", "file", "video")


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a running graph: what it was given, and what it may do."""

    node_id: str
    inputs: Mapping[str, Any]
    folder: Path
    prompt: Mapping[str, Any]
    assets: Mapping[str, MediaValue]
    progress: Callable[[float, float], None]
    cancelled: Callable[[], bool]
    give: Callable[[Produced], None]


@dataclass(frozen=True, slots=True)
class FakeNode:
    """A node class. ``inputs`` as in ComfyUI: ``{name: (type, options)}``."""

    run: Callable[[Step], tuple[Any, ...]]
    inputs: Mapping[str, Spec] = field(default_factory=dict)
    optional: Mapping[str, Spec] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    is_output: bool = False


def _empty_image(step: Step) -> tuple[Any, ...]:
    given = step.inputs
    shape = (given["batch_size"], given["height"], given["width"], 3)
    colour = [given["color"] >> shift & 255 for shift in (16, 8, 0)]
    return (np.broadcast_to(np.array(colour, np.float32) / 255.0, shape).copy(),)


def _invert(step: Step) -> tuple[Any, ...]:
    return (1.0 - step.inputs["image"],)


def _save_image(step: Step) -> tuple[Any, ...]:
    step.folder.mkdir(parents=True, exist_ok=True)
    about = PngInfo()
    about.add_text("prompt", json.dumps(step.prompt))
    for pixels in step.inputs["images"]:
        count = len(list(step.folder.iterdir())) + 1
        path = step.folder / f"{step.node_id}_{count:05}_.png"
        grid = np.clip(255.0 * pixels, 0, 255).astype(np.uint8)
        Pillow.fromarray(grid).save(path, pnginfo=about, compress_level=1)
        step.give(Produced(step.node_id, "image", Image.open(path)))
    return ()


def _show(step: Step) -> tuple[Any, ...]:
    step.give(Produced(step.node_id, "text", str(step.inputs["source"])))
    return ()


def _load_image(step: Step) -> tuple[Any, ...]:
    raise OperationFailed("there is no folder of pictures here")


def _load_asset(step: Step) -> tuple[Any, ...]:
    value = step.assets.get(step.inputs["asset"])
    if value is None:
        raise OperationFailed(f"the graph has no asset {step.inputs['asset']!r}")
    carried = value.pixels[None] if isinstance(value, Image) else value
    return tuple(carried if value.kind == kind else None for kind in KINDS)


def _save_asset(step: Step) -> tuple[Any, ...]:
    for kind in KINDS:
        value = step.inputs.get(kind)
        if value is None:
            continue
        for item in [Image.from_array(each) for each in value] if kind == "image" else [value]:
            step.give(Produced(step.node_id, kind, item, step.inputs["name"]))
    return ()


def _sleep(step: Step) -> tuple[Any, ...]:
    steps = step.inputs["steps"]
    for done in range(steps):
        if step.cancelled():
            raise Cancelled
        time.sleep(step.inputs["seconds"] / steps)
        step.progress(done + 1, steps)
    step.give(Produced(step.node_id, "text", f"slept {step.inputs['seconds']} s"))
    return (step.inputs.get("image"),)


def _fail(step: Step) -> tuple[Any, ...]:
    raise RuntimeError(step.inputs["message"])


def _die(step: Step) -> tuple[Any, ...]:
    os.kill(os.getpid(), signal.SIGKILL)
    return ()


def _deaf(step: Step) -> tuple[Any, ...]:
    end = time.monotonic() + step.inputs["seconds"]
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
    step.give(Produced(step.node_id, "text", "woke up"))
    return ()


_SIZE: Final[Spec] = ("INT", {"default": 512, "min": 1, "max": 16384})
_SECONDS: Final[Spec] = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 600.0})
_IMAGES: Final[Spec] = ("IMAGE", {})

NODES: Final[dict[str, FakeNode]] = {
    "EmptyImage": FakeNode(
        _empty_image,
        {
            "width": _SIZE,
            "height": _SIZE,
            "batch_size": ("INT", {"default": 1, "min": 1, "max": 4096}),
            "color": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFF}),
        },
        outputs=("IMAGE",),
    ),
    "ImageInvert": FakeNode(_invert, {"image": _IMAGES}, outputs=("IMAGE",)),
    "SaveImage": FakeNode(
        _save_image,
        {"images": _IMAGES, "filename_prefix": ("STRING", {"default": "ComfyUI"})},
        is_output=True,
    ),
    "PreviewImage": FakeNode(_save_image, {"images": _IMAGES}, is_output=True),
    "PreviewAny": FakeNode(_show, {"source": ("*", {})}, is_output=True),
    "LoadImage": FakeNode(
        _load_image,
        {"image": ("COMBO", {"options": ["example.png"], "image_upload": True})},
        outputs=("IMAGE", "MASK"),
    ),
    "KinoLoadAsset": FakeNode(
        _load_asset,
        {"asset": ("STRING", {})},
        outputs=tuple(kind.upper() for kind in KINDS),
    ),
    "KinoSaveAsset": FakeNode(
        _save_asset,
        {"name": ("STRING", {"default": "result"})},
        {kind: (kind.upper(), {}) for kind in KINDS},
        is_output=True,
    ),
    "KinoTestSleep": FakeNode(
        _sleep,
        {"seconds": _SECONDS, "steps": ("INT", {"default": 10, "min": 1, "max": 10000})},
        {"image": _IMAGES},
        ("IMAGE",),
        is_output=True,
    ),
    "KinoTestFail": FakeNode(
        _fail, {"message": ("STRING", {"default": "asked to fail"})}, is_output=True
    ),
    "KinoTestDie": FakeNode(_die, is_output=True),
    "KinoTestDeaf": FakeNode(_deaf, {"seconds": _SECONDS}, is_output=True),
}
