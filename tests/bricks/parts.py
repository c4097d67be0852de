"""Probes of model files that hold one part each: functions that `host.py` calls beside a booted
ComfyUI. ``test_model_parts.py`` says what must come back, and why."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import torch

from backend.bricks import (
    boot,
    checkpoints,
    conditioning,
    devices,
    direct,
    engine,
    folders,
    latents,
    nodes,
    pictures,
    sampling,
    vae,
)
from backend.bricks._comfy import module
from backend.config import ROOT
from backend.context import LOCAL
from backend.errors import KinoError
from backend.media.image import Image
from backend.plugins.workflows.describing import describe
from backend.testing.model_parts import TINY_T5

TEMPLATES = ROOT / "backend" / "plugins" / "workflows" / "templates"


def done(work: Any) -> Any:
    return direct.run(work, LOCAL)


def whole(folder: Path) -> dict[str, Any]:
    """A picture by a diffusion model, a text encoder and a VAE that came from a file each."""

    def work() -> dict[str, Any]:
        model = checkpoints.load_diffusion_model("sd.safetensors")
        clip = checkpoints.load_text_encoder(["clip_l.safetensors"], "stable_diffusion")
        decoder = checkpoints.load_vae("sd.safetensors")
        negative = conditioning.encode_text(clip, "")
        made = [
            sampling.sample(
                model, conditioning.encode_text(clip, text), negative, latents.empty(64, 64),
                seed=1, steps=2,
            )
            for text in ("a red cat", "a red cat", "a blue car")
        ]  # fmt: skip
        picture = vae.decode(decoder, made[0])
        return {
            "architecture": type(model.model.model_config).__name__,
            "same": torch.equal(made[0]["samples"], made[1]["samples"]),
            "text": torch.equal(made[0]["samples"], made[2]["samples"]),
            "shape": list(picture.shape),
            "spread": float(picture.std()),
        }

    result: dict[str, Any] = done(work)
    devices.unload_all()
    return result


def seen(folder: Path) -> dict[str, Any]:
    """What an image encoder makes of a wide picture whose left end is white: cut, and squeezed."""

    def work() -> dict[str, Any]:
        encoder = checkpoints.load_clip_vision("vit.safetensors")
        wide = np.zeros((64, 128, 3), np.float32)
        wide[:, :16] = 1.0
        image = pictures.given(Image.from_array(wide), "wide.png")
        cut, squeezed = (
            conditioning.encode_picture(encoder, image, crop=crop) for crop in (True, False)
        )
        return {
            "shapes": [list(cut[name].shape) for name in ("last_hidden_state", "image_embeds")],
            "same": torch.equal(cut["image_embeds"], squeezed["image_embeds"]),
            "spread": float(cut["image_embeds"].std()),
        }

    result: dict[str, Any] = done(work)
    devices.unload_all()
    return result


def kinds(folder: Path) -> dict[str, Any]:
    """The shape of an empty latent of each kind."""

    def work() -> dict[str, Any]:
        found = {kind: latents.empty(64, 64, 2, kind) for kind in get_args(latents.Kind)}
        for kind in get_args(latents.VideoKind):
            found[kind] = latents.empty_video(64, 64, 9, 1, kind)
        for kind in get_args(latents.AudioKind):
            found[kind] = latents.empty_audio(10.0, 1, kind)
        found["hunyuan_3d"] = latents.empty_shape(16)
        shapes = {kind: list(latent["samples"].shape) for kind, latent in found.items()}
        return {"shapes": shapes, "known": list(latents.kinds())}

    result: dict[str, Any] = done(work)
    return result


class Bomb:
    """Pickled, it would make a folder where it is loaded."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._folder,)


def pickles(folder: Path) -> dict[str, Any]:
    """An upscaler in a ``.pth``, as they are published; one that would run code; and the same for a
    kind of model whose files must hold none."""
    models, sign = folder / "models" / "upscale_models", folder / "exploded"
    weights = module("comfy.utils").load_torch_file(str(models / "x4.safetensors"))
    torch.save({"params_ema": weights}, models / "x4.pth")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"params": Bomb(sign)}, protocol=2))
        archive.writestr("archive/version", "3")
        archive.writestr("archive/byteorder", "little")
    (models / "bomb.pth").write_bytes(buffer.getvalue())

    def refused(load: Any) -> list[str]:
        try:
            done(load)
        except KinoError as error:
            return [error.errors[0].pointer, error.errors[0].rule, error.errors[0].message]
        return []

    def enlarged(name: str) -> Any:
        image = pictures.given(Image.from_array(np.full((8, 8, 3), 0.5, np.float32)), "grey.png")
        return pictures.enlarge(checkpoints.load_upscaler(name), image)

    return {
        "same": torch.equal(
            *(done(lambda n=n: enlarged(f"x4.{n}")) for n in ("pth", "safetensors"))
        ),
        "bomb": refused(lambda: checkpoints.load_upscaler("bomb.pth"))[:2],
        "exploded": sign.exists(),
        "others": refused(lambda: folders.model_file("upscale_models", "x4.pth"))[:2],
    }


def old_files(folder: Path) -> dict[str, Any]:
    """Graphs whose loader is told a ``.pth`` of tensors, also in the format before torch 1.6, one
    with code, one in that format with code behind its head, and one that is nothing of torch's."""
    models, sign = folder / "models" / "upscale_models", folder / "exploded"
    weights = module("comfy.utils").load_torch_file(str(models / "x4.safetensors"))
    torch.save({"params_ema": weights}, models / "good.pth")
    for protocol in (2, 3):
        torch.save(
            *({"params_ema": weights}, models / f"old_{protocol}.pth"),
            pickle_protocol=protocol,
            _use_new_zipfile_serialization=False,
        )
    torch.save({"params_ema": weights, "more": Bomb(sign)}, models / "code.pth")
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, Bomb(sign)]
    (models / "early.pth").write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in head))
    (models / "other.pth").write_bytes(pickle.dumps(1))

    def ran(name: str) -> Any:
        graph = {
            "1": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": name}},
            "2": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
            "3": {
                "class_type": "ImageUpscaleWithModel",
                "inputs": {"upscale_model": ["1", 0], "image": ["2", 0]},
            },
            "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
        }
        try:
            result = engine.current().run(graph, assets={}, ctx=LOCAL, folder=folder)
        except KinoError as error:
            return [error.slug, *((each.pointer, each.rule, each.message) for each in error.errors)]
        return result.of("image")[0].pixels.shape

    names = ("good", "old_2", "old_3", "code", "early", "other")
    return {**{name: ran(f"{name}.pth") for name in names}, "exploded": sign.exists()}


def flux(folder: Path) -> dict[str, Any]:
    """Both Flux workflows, with every stock node but one: the text encoders come from a loader
    that reads a small T5, which ``DualCLIPLoader`` cannot be told of."""

    class SmallDualClip:
        RETURN_TYPES = ("CLIP",)
        FUNCTION = "run"

        @classmethod
        def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
            texts: dict[str, Any] = dict.fromkeys(
                ("clip_name1", "clip_name2", "type", "device"), ("STRING", {})
            )
            return {"required": texts}

        def run(self, clip_name1, clip_name2, type, device):  # noqa: A002 (the stock node's name)
            paths = [
                str(folders.model_file("text_encoders", name)) for name in (clip_name1, clip_name2)
            ]
            kind = getattr(module("comfy.sd").CLIPType, type.upper())
            return (module("comfy.sd").load_clip(paths, clip_type=kind, model_options=TINY_T5),)

    nodes.register_node("KinoTestSmallDualClip", SmallDualClip)
    found: dict[str, Any] = {"version": boot.info().version}
    picture = Image.from_array(np.linspace(0, 1, 64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3))
    for name in ("text-to-image-flux", "image-to-image-flux"):
        document = json.loads((TEMPLATES / f"{name}.json").read_text())
        graph, parameters, _, warnings = describe(document, engine.current().definitions())
        found[name] = {
            "warnings": warnings,
            "made": [_made(graph, parameters, picture, folder, seed) for seed in (1, 1, 2)],
        }
    devices.unload_all()
    return found


PICTURE: Final = "blake3:" + "0" * 64
SMALL: Final[dict[str, Any]] = {
    "unet_name": "flux.safetensors", "vae": "ae.safetensors", "steps": 2, "width": 64,
    "clip_name1": "clip_l.safetensors", "clip_name2": "t5.safetensors", "height": 64,
    "guidance": 3.0, "image": PICTURE,
}  # fmt: skip
"""Values of both workflows' parameters."""


def _made(graph: Any, parameters: Any, picture: Image, folder: Path, seed: int) -> Any:
    """Shape, digest-like sum and spread of the one picture of a template with `SMALL` values."""
    for parameter in parameters:
        value = {**SMALL, "seed": seed}.get(parameter["name"], parameter.get("default"))
        for place in parameter["places"]:
            graph[place["node"]]["inputs"][place["input"]] = value
    for node in graph.values():
        if node["class_type"] == "DualCLIPLoader":
            node["class_type"] = "KinoTestSmallDualClip"
    result = engine.current().run(graph, assets={PICTURE: picture}, ctx=LOCAL, folder=folder)
    (made,) = result.of("image")
    pixels = made.pixels
    return [list(pixels.shape), float(np.abs(pixels).sum()), float(pixels.std())]
