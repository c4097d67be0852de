"""Nodes that the contract's graphs need and no release has: loaders that take text encoders of
another size, and nodes that sleep, fail, count and show previews.

Knows: V1 node classes.
Does not know: the graphs.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from backend.bricks import nodes
from backend.bricks._comfy import module
from backend.bricks.operation_nodes import context
from backend.testing.checkpoints import TINY_TEXT
from backend.testing.contract import tiny_models

NAME: dict[str, Any] = {"required": {"name": ("STRING", {})}}


class Plain:
    """What all of them share."""

    FUNCTION = "run"
    CATEGORY = "contract"
    RETURN_TYPES: ClassVar[tuple[str, ...]] = ()
    INPUTS: ClassVar[dict[str, Any]] = {"required": {}}

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI's name)
        return cls.INPUTS


class Checkpoint(Plain):
    """A checkpoint whose text encoders have the sizes of the tiny files."""

    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    INPUTS: ClassVar = {"required": {"name": ("STRING", {}), "kind": ("STRING", {})}}

    def run(self, name: str, kind: str) -> tuple[Any, ...]:
        sizes = {"sdxl": TINY_TEXT, "music": tiny_models.MUSIC_TEXT}[kind]
        folder_paths = module("folder_paths")
        loaded = module("comfy.sd").load_checkpoint_guess_config(
            folder_paths.get_full_path("checkpoints", name),
            embedding_directory=folder_paths.get_folder_paths("embeddings"),
            te_model_options=sizes,
        )
        return tuple(loaded[:3])


class VideoText(Plain):
    """The text encoder of LTX-Video, in the size of the tiny file."""

    RETURN_TYPES = ("CLIP",)
    INPUTS = NAME

    def run(self, name: str) -> tuple[Any]:
        folder_paths, sd = module("folder_paths"), module("comfy.sd")
        return (
            sd.load_clip(
                [folder_paths.get_full_path("text_encoders", name)],
                embedding_directory=folder_paths.get_folder_paths("embeddings"),
                clip_type=sd.CLIPType.LTXV,
                model_options={"t5xxl_model_config": tiny_models.T5},
            ),
        )


class Sleep(Plain):
    """Takes its time, in steps that report progress."""

    OUTPUT_NODE = True
    INPUTS: ClassVar = {"required": {"seconds": ("FLOAT", {"default": 1.0})}}

    def run(self, seconds: float) -> dict[str, Any]:
        ctx, steps = context(), max(1, round(seconds * 100))
        for done in range(steps):
            time.sleep(seconds / steps)
            ctx.progress(done + 1, steps)
        return {"ui": {"text": ["slept"]}}


class Fail(Plain):
    """Raises."""

    OUTPUT_NODE = True

    def run(self) -> None:
        raise RuntimeError("asked to fail")


class Count(Plain):
    """Counts how often it really ran."""

    RETURN_TYPES = ("IMAGE",)
    INPUTS: ClassVar = {"required": {"image": ("IMAGE",)}}
    runs = 0

    def run(self, image: Any) -> tuple[Any]:
        Count.runs += 1
        return (image,)


class Preview(Plain):
    """Shows a red picture while it works."""

    OUTPUT_NODE = True

    def run(self) -> dict[str, Any]:
        from PIL import Image

        bar = module("comfy.utils").ProgressBar(2)
        for step in (1, 2):
            bar.update_absolute(step, 2, ("JPEG", Image.new("RGB", (6, 4), (255, 0, 0)), 512))
        return {"ui": {"text": ["shown"]}}


def register(models: Path) -> None:
    """Make all of them known, and *models* a folder of model files."""
    folder_paths = module("folder_paths")
    for kind in ("checkpoints", "loras", "controlnet", "text_encoders"):
        (models / kind).mkdir(parents=True, exist_ok=True)
        folder_paths.add_model_folder_path(kind, str(models / kind), is_default=True)
    for node in (Checkpoint, VideoText, Sleep, Fail, Count, Preview):
        nodes.register_node(f"Contract{node.__name__}", node)
