"""The third path: pictures by SDXL and SD 1.5, every sampler and scheduler, and memory given back.

Knows: steps 10 and 13 of the contract.
Does not know: what a picture shows; it is noise that depends on every parameter.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import psutil

from backend.bricks import (
    checkpoints as loaders,
)
from backend.bricks import (
    conditioning,
    devices,
    direct,
    latents,
    sampling,
)
from backend.context import LOCAL
from backend.media.image import Image
from backend.testing import checkpoints
from backend.testing.contract.booting import boot
from backend.testing.contract.graphs import Graph, node, run
from backend.testing.contract.steps import Bench, Step, require

MIB: Final = 2**20


def boots(bench: Bench) -> str:
    """2, again; and the model files."""
    models = bench.models
    checkpoints.write_sdxl(models / "checkpoints" / "xl.safetensors", tiny_text=True)
    checkpoints.write_lora(models / "loras" / "xl.safetensors", sdxl=True)
    checkpoints.write_sd15(models / "checkpoints" / "mini.safetensors")
    checkpoints.write_controlnet(models / "controlnet" / "mini.safetensors")
    return f"ComfyUI {boot(bench).version}"


def sdxl(**changed: Any) -> Graph:
    """Text to image with the tiny SDXL, 64 x 64 pixels, 2 steps; *changed* are inputs of 5."""
    graph = {
        "1": node("ContractCheckpoint", name="xl.safetensors", kind="sdxl"),
        "2": node("CLIPTextEncode", clip=["1", 1], text="a red cat"),
        "3": node("CLIPTextEncode", clip=["1", 1], text=""),
        "4": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "5": node("KSampler", model=["1", 0], positive=["2", 0], negative=["3", 0],
                  latent_image=["4", 0], seed=1, steps=2, cfg=7.0, sampler_name="euler",
                  scheduler="normal", denoise=1.0),
        "6": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": node("SaveImage", images=["6", 0], filename_prefix="x"),
    }  # fmt: skip
    graph["5"]["inputs"].update(changed)
    return graph


def drawing() -> Graph:
    """Nodes that make a picture with an edge in it, and a mask: ``e`` and ``m``."""
    return {
        "a": node("EmptyImage", width=64, height=64, batch_size=1, color=0x3060C0),
        "b": node("EmptyImage", width=64, height=32, batch_size=1, color=0xC03010),
        "e": node("ImageCompositeMasked", destination=["a", 0], source=["b", 0], x=0, y=0,
                  resize_source=False),
        "w": node("SolidMask", value=1.0, width=64, height=64),
        "z": node("SolidMask", value=0.0, width=64, height=32),
        "m": node("MaskComposite", destination=["w", 0], source=["z", 0], x=0, y=32,
                  operation="multiply"),
    }  # fmt: skip


def picture(bench: Bench, graph: Graph) -> Image:
    """The picture that *graph* makes; it must be one."""
    (found,) = run(bench, graph).of("image")
    pixels = np.asarray(found.pixels)
    require(np.isfinite(pixels).all(), "the picture holds no numbers")
    require(float(pixels.std()) > 1e-3, "the picture is empty")
    assert isinstance(found, Image)
    return found


def digest(image: Image) -> str:
    """SHA-256 of the pixels as 8-bit values."""
    return hashlib.sha256(
        (np.asarray(image.pixels) * 255).round().astype("u1").tobytes()
    ).hexdigest()


def golden(bench: Bench) -> str:
    """Same seed, same picture; another seed, another one. Its digest is compared by the report."""
    first = picture(bench, sdxl())
    first.save(bench.folder("golden") / "golden.png")
    bench.facts["golden"] = digest(first)
    other = picture(bench, sdxl(seed=2))
    require(digest(other) != digest(first), "the seed does not matter")
    require(digest(picture(bench, sdxl())) == digest(first), "the same seed gives another picture")
    return digest(first)[:12]


def from_picture(bench: Bench) -> str:
    """Image to image: less noise stays nearer to what was given."""
    made = []
    for denoise in (0.3, 1.0):
        graph = sdxl(denoise=denoise, latent_image=["l", 0], steps=4)
        graph |= {**drawing(), "l": node("VAEEncode", pixels=["e", 0], vae=["1", 2])}
        made.append(picture(bench, graph))
    require(digest(made[0]) != digest(made[1]), "denoise does not matter")
    return "denoise 0.3 and 1.0"


def into_hole(bench: Bench) -> str:
    """Inpainting, by a mask on the latent and by the node made for it."""
    made = []
    for encode in (
        {"p": node("VAEEncode", pixels=["e", 0], vae=["1", 2]),
         "l": node("SetLatentNoiseMask", samples=["p", 0], mask=["m", 0])},
        {"l": node("VAEEncodeForInpaint", pixels=["e", 0], vae=["1", 2], mask=["m", 0],
                   grow_mask_by=0)},
    ):  # fmt: skip
        made.append(picture(bench, {**sdxl(latent_image=["l", 0]), **drawing(), **encode}))
    require(digest(made[0]) != digest(made[1]), "both ways give the same")
    return "two ways"


def with_lora(bench: Bench) -> str:
    """A LoRA changes the picture, and at strength 0 does not."""
    made = []
    for strength in (0.0, 2.0):
        graph = sdxl(model=["l", 0])
        graph["l"] = node("LoraLoader", model=["1", 0], clip=["1", 1], lora_name="xl.safetensors",
                          strength_model=strength, strength_clip=strength)  # fmt: skip
        made.append(digest(picture(bench, graph)))
    require(made[0] == bench.facts.get("golden", made[0]), "a LoRA of strength 0 changes something")
    require(made[1] != made[0], "the LoRA changes nothing")
    return "strength 0 and 2"


def in_tiles(bench: Bench) -> str:
    """Tiles give about what the whole gives."""
    graph = sdxl()
    graph["6"] = node("VAEDecodeTiled", samples=["5", 0], vae=["1", 2], tile_size=64, overlap=16,
                      temporal_size=64, temporal_overlap=8)  # fmt: skip
    whole, tiled = picture(bench, sdxl()), picture(bench, graph)
    seams = float(np.abs(np.asarray(whole.pixels) - np.asarray(tiled.pixels)).mean())
    require(seams < 0.1, f"tiles differ by {seams:.3f}")
    return f"difference {seams:.4f}"


def guided(bench: Bench) -> str:
    """A ControlNet changes the picture of SD 1.5."""
    made = []
    for strength in (0.0, 1.0):
        graph = sdxl(positive=["c", 0], negative=["c", 1])
        graph["1"] = node("CheckpointLoaderSimple", ckpt_name="mini.safetensors")
        graph |= {
            **drawing(),
            "n": node("ControlNetLoader", control_net_name="mini.safetensors"),
            "c": node("ControlNetApplyAdvanced", positive=["2", 0], negative=["3", 0],
                      control_net=["n", 0], image=["e", 0], strength=strength, start_percent=0.0,
                      end_percent=1.0),
        }  # fmt: skip
        made.append(digest(picture(bench, graph)))
    require(made[0] != made[1], "the ControlNet changes nothing")
    return "strength 0 and 1"


def every_sampler(bench: Bench) -> str:
    """Each sampler, and each scheduler, gives numbers."""

    def work() -> list[str]:
        found = loaders.load_checkpoint("mini.safetensors")
        positive = conditioning.encode_text(found.clip, "a red cat")
        negative = conditioning.encode_text(found.clip, "")
        start, bad = latents.empty(16, 16), []
        for sampler, scheduler in pairs:
            made = sampling.sample(
                found.model, positive, negative, start,
                seed=1, steps=2, sampler=sampler, scheduler=scheduler,
            )["samples"]  # fmt: skip
            if not bool(made.isfinite().all()):
                bad.append(f"{sampler}/{scheduler}")
        return bad

    pairs = [(name, "normal") for name in sampling.samplers()]
    pairs += [("euler", name) for name in sampling.schedulers()]
    bad = direct.run(work, LOCAL)
    require(not bad, f"no numbers from {', '.join(bad)}")
    return f"{len(sampling.samplers())} samplers, {len(sampling.schedulers())} schedulers"


def gives_back(bench: Bench) -> str:
    """After everything was unloaded no model is left, and memory came back."""
    process = psutil.Process()
    before, loaded = process.memory_full_info().uss, devices.memory().loaded_models
    require(loaded > 0, "nothing was loaded, so nothing can be given back")
    run(bench, {"1": node("PreviewAny", source="so that caches let go")})
    loaders.forget()
    left = devices.unload_all().loaded_models
    gc.collect()
    freed = (before - process.memory_full_info().uss) // MIB
    require(left == 0, f"{left} models are still loaded")
    require(freed > 50, f"only {freed} MiB came back")
    return f"{loaded} models, {freed} MiB"


def _steps(*named: tuple[str, Callable[[Bench], str | None]]) -> tuple[Step, ...]:
    return tuple(Step(10, name, work) for name, work in named)


GOLDEN: Final = (Step(2, "clean boot", boots), *_steps(("golden image", golden)))
STEPS: Final = (
    *GOLDEN,
    *_steps(
        ("image to image", from_picture),
        ("inpainting", into_hole),
        ("LoRA", with_lora),
        ("tiled VAE", in_tiles),
        ("ControlNet", guided),
        ("every sampler and scheduler", every_sampler),
    ),
    Step(13, "unload frees memory", gives_back),
)
