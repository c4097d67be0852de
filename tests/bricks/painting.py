"""Probes of the verbs that make pictures: functions that `host.py` calls beside a booted ComfyUI.

Each takes a folder that it may write into and returns JSON; ``test_painting.py`` says what must
come back, and why. The models lie below the folder.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.bricks import (
    _imports,
    checkpoints,
    conditioning,
    devices,
    direct,
    interruption,
    lane,
    latents,
    lora,
    nodes,
    pictures,
    recording,
    sampling,
    vae,
)
from backend.bricks._comfy import module
from backend.context import LOCAL, Cancelled, Context
from backend.errors import KinoError
from backend.media.image import Image, Mask
from backend.testing.checkpoints import TINY_TEXT

SD15 = "mini.safetensors"
SDXL = "xl.safetensors"


def done(work: Any, ctx: Context = LOCAL) -> Any:
    return direct.run(work, ctx)


def refused(work: Any) -> list[list[str]]:
    """Pointer and rule of everything that is wrong."""
    try:
        done(work)
    except KinoError as error:
        return [[each.pointer, each.rule] for each in error.errors]
    return []


def digest(tensor: Any) -> str:
    return hashlib.sha256(tensor.float().contiguous().numpy().tobytes()).hexdigest()


def loaded(name: str = SD15) -> tuple[Any, Any, Any]:
    """A checkpoint, and the conditionings of two texts."""
    options = TINY_TEXT if name == SDXL else None
    found = checkpoints.load_checkpoint(name, text_encoder_options=options)
    positive = conditioning.encode_text(found.clip, "a red cat")
    return found, positive, conditioning.encode_text(found.clip, "")


def begin(folder: Path) -> dict[str, Any]:
    """The models are found, and there is one thread, so that sums have one order."""
    torch.set_num_threads(1)
    _imports.add_models([folder / "models"])
    return {
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "samplers": len(sampling.samplers()),
    }


def sdxl(folder: Path) -> dict[str, Any]:
    """A picture of 64 x 64 pixels, again, with another seed, and with another text."""

    def work() -> dict[str, Any]:
        started = time.monotonic()
        found, positive, negative = loaded(SDXL)
        other = conditioning.encode_text(found.clip, "a blue car")

        def made(seed: int, text: Any) -> Any:
            latent = sampling.sample(
                found.model, text, negative, latents.empty(64, 64), seed=seed, steps=2
            )
            return latent["samples"]

        first = made(1, positive)
        picture = vae.decode(found.vae, {"samples": first})
        Image.from_array(picture[0].numpy()).save(folder / "sdxl.png")
        return {
            "architecture": found.architecture,
            "same": torch.equal(first, made(1, positive)),
            "seed": torch.equal(first, made(2, positive)),
            "text": torch.equal(first, made(1, other)),
            "kept": checkpoints.load_checkpoint(SDXL, text_encoder_options=TINY_TEXT) is found,
            "seconds": time.monotonic() - started,
        }

    result: dict[str, Any] = done(work)
    checkpoints.forget()
    devices.unload_all()
    return result


def every_sampler(folder: Path) -> dict[str, Any]:
    """Each sampler and each scheduler once, on a latent of 2 x 2."""

    def work() -> dict[str, Any]:
        found, positive, negative = loaded()
        bad = []
        pairs = [(name, "normal") for name in sampling.samplers()]
        pairs += [("euler", name) for name in sampling.schedulers()]
        for sampler, scheduler in pairs:
            latent = sampling.sample(
                found.model,
                positive,
                negative,
                latents.empty(16, 16),
                seed=1,
                steps=2,
                sampler=sampler,
                scheduler=scheduler,
            )
            if not torch.isfinite(latent["samples"]).all():
                bad.append([sampler, scheduler])
        return {"tried": len(pairs), "bad": bad}

    result: dict[str, Any] = done(work)
    return result


def own_sigmas(folder: Path) -> dict[str, Any]:
    """The scheduler's own levels by hand give the same; others, another picture."""

    def work() -> dict[str, Any]:
        found, positive, negative = loaded()
        start = latents.empty(32, 32)
        usual = sampling.sample(found.model, positive, negative, start, seed=3, steps=3)
        levels = sampling.sigmas(found.model, "normal", 3)
        made = [
            sampling.sample_custom(found.model, positive, negative, start, seed=3, sigmas=each)
            for each in (levels, sampling.sigmas_of([9.0, 2.0, 0.0]))
        ]
        return {
            "levels": len(levels),
            "same": torch.equal(usual["samples"], made[0]["samples"]),
            "other": torch.equal(usual["samples"], made[1]["samples"]),
        }

    result: dict[str, Any] = done(work)
    for name, levels in (("rising", [1.0, 2.0]), ("one", [1.0]), ("nan", [float("nan"), 0.0])):
        result[name] = refused(lambda levels=levels: sampling.sigmas_of(levels))
    return result


def names(folder: Path) -> dict[str, Any]:
    """What is wrong with names and files."""
    loaders = {
        "unknown": lambda: checkpoints.load_checkpoint("min.safetensors"),
        "pickle": lambda: checkpoints.load_checkpoint("old.ckpt"),
        "no_model": lambda: checkpoints.load_checkpoint("upscaler.safetensors"),
        "no_upscaler": lambda: checkpoints.load_upscaler("lora.safetensors", "/with"),
        "no_vae": lambda: checkpoints.load_vae("any.safetensors"),
        "no_controlnet": lambda: checkpoints.load_controlnet("any.safetensors"),
        "no_unet": lambda: checkpoints.load_diffusion_model("any.safetensors"),
        "no_text": lambda: checkpoints.load_text_encoder(["any.safetensors"], "sd3"),
        "too_many": lambda: checkpoints.load_text_encoder(["any"] * 4),
        "no_vision": lambda: checkpoints.load_clip_vision("any.safetensors"),
        "sampler": lambda: sampling.check("eular", "normal"),
    }
    return {name: refused(work) for name, work in loaders.items()}


def loras(folder: Path) -> dict[str, Any]:
    """One that fits, one of another architecture, one whose weights have other sizes."""

    def work() -> dict[str, Any]:
        found, positive, negative = loaded()
        model, _, told = lora.apply(found.model, found.clip, "fits.safetensors", strength=2.0)
        made = [
            digest(
                sampling.sample(each, positive, negative, latents.empty(32, 32), seed=1, steps=2)[
                    "samples"
                ]
            )
            for each in (found.model, model, found.model)
        ]
        return {"made": made, "told": told}

    def other(name: str) -> Any:
        found, _, _ = loaded()
        return lora.apply(found.model, found.clip, name, pointer="/lora")

    result: dict[str, Any] = done(work)
    result["sdxl"] = refused(lambda: other("sdxl.safetensors"))
    result["sizes"] = refused(lambda: other("sizes.safetensors"))
    result["partly"] = done(lambda: other("partly.safetensors"))[2]
    return result


def parts(folder: Path) -> dict[str, Any]:
    """Tiles, masks, repeated and enlarged latents, conditionings that are combined or emptied."""

    def work() -> dict[str, Any]:
        found, positive, negative = loaded()
        grid = np.linspace(0, 1, 64 * 128 * 3, dtype=np.float32).reshape(64, 128, 3)
        image = pictures.given(Image.from_array(grid), "image.png")
        whole, tiled = vae.encode(found.vae, image), vae.encode(found.vae, image, 64)
        back, back_tiled = vae.decode(found.vae, whole), vae.decode(found.vae, whole, 64)
        values = np.zeros((64, 64), np.float32)
        values[:32] = 1
        mask = pictures.given_mask(Mask.from_array(values), "mask.png")
        start = vae.encode(found.vae, pictures.scale(image, 64, 64))
        masked = sampling.sample(
            found.model, positive, negative, latents.with_mask(start, mask), seed=1, steps=2
        )["samples"]
        same = (masked - start["samples"]).abs()
        both = conditioning.combine(positive, negative)
        nothing = conditioning.zero_out(positive)
        batch = latents.repeat(start, 3)["samples"]
        return {
            "encoded": [list(each["samples"].shape) for each in (whole, tiled)],
            "decoded": [list(each.shape) for each in (back, back_tiled)],
            "seams": float((back - back_tiled).abs().mean()),
            "kept": float(same[..., 5:, :].max()),
            "new": float(same[..., :3, :].max()),
            "batch": list(batch.shape),
            "larger": list(latents.enlarge(start, 1.5)["samples"].shape),
            "both": len(both),
            "nothing": float(nothing[0][0].abs().max()),
            "kinds": {
                kind: list(latents.empty(64, 64, 2, kind)["samples"].shape)
                for kind in ("sd", "sd3", "flux2")
            },
            "video": list(latents.empty_video(64, 64, 9)["samples"].shape),
            "all_kinds": list(latents.kinds()),
        }

    result: dict[str, Any] = done(work)
    return result


def memory(folder: Path) -> dict[str, Any]:
    """Memory that runs out once, and for good; with something loaded to free."""
    calls = []

    class Hungry:
        RETURN_TYPES = ("IMAGE",)
        FUNCTION = "run"

        @classmethod
        def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
            return {"required": {"times": ("INT", {"default": 1})}}

        def run(self, times):
            calls.append(devices.memory().loaded_models)
            if len(calls) <= times:
                raise torch.cuda.OutOfMemoryError("out of memory")
            return ("fed",)

    nodes.register_node("KinoTestHungry", Hungry)

    def work(times: int) -> Any:
        calls.clear()
        loaded()
        return direct.verb("KinoTestHungry", times=times)

    once = [done(lambda: work(1))[0], list(calls)]
    try:
        done(lambda: work(9))
    except KinoError as error:
        return {"once": once, "always": [type(error).__name__, len(calls)]}
    return {"once": once, "always": []}


def progress(folder: Path) -> dict[str, Any]:
    """Steps and previews that reach a context; and a run that is ended by it."""
    steps: list[list[float]] = []
    shown: list[list[int]] = []
    stop = Context(
        on_progress=lambda done, total, node: steps.append([done, total]),
        on_preview=lambda image: shown.append([image.width, image.height, image.channels]),
        is_cancelled=lambda: len(steps) >= 4,
    )

    def work(count: int) -> Any:
        found, positive, negative = loaded()
        steps.clear()
        return sampling.sample(
            found.model, positive, negative, latents.empty(64, 64), seed=1, steps=count
        )

    done(lambda: work(3), stop)
    told, seen = list(steps), list(shown)
    try:
        done(lambda: work(500), stop)
        ended = "went on"
    except Cancelled:
        ended = "cancelled"
    return {
        "steps": told,
        "shown": seen,
        "ended": ended,
        "after": len(steps),
        "lane_free": lane.current().running() is None,
        "flag": bool(module("comfy.model_management").processing_interrupted()),
    }


def recorded(folder: Path) -> dict[str, Any]:
    """What a recording holds: links, plain values, and whether it is whole."""

    def work() -> dict[str, Any]:
        with recording.recording() as kept:
            found, positive, negative = loaded()
            sampling.sample(found.model, positive, negative, latents.empty(16, 16), seed=5, steps=1)
        with recording.recording() as torn:
            sampling.sample(found.model, positive, negative, latents.empty(16, 16), seed=5, steps=1)
        latents.empty(16, 16)
        return {"graph": kept.nodes, "whole": [kept.whole, torn.whole], "torn": len(torn.nodes)}

    result: dict[str, Any] = done(work)
    return result


def alone(folder: Path) -> bool:
    """Whether a torch error that is no matter of memory is taken for one."""
    return interruption.is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
