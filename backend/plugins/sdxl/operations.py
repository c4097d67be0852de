"""The operations: words to picture, picture to picture, filling, enlarging.

Knows: parameters, units, ranges and defaults; imports nothing heavy.
Does not know: ComfyUI; the bricks are called inside the run.
"""

from __future__ import annotations

from typing import Final

from backend.media.image import Image, Mask
from backend.plugins import LOCAL, Context, Needs, operation

from .parameters import (
    Batch,
    CheckpointName,
    ClipSkip,
    ControlNets,
    Guidance,
    HiresFix,
    Loras,
    Prompt,
    Recipe,
    SamplerName,
    SchedulerName,
    Seed,
    Size,
    Steps,
    Strength,
    Tile,
    UpscalerName,
)
from .results import Generated

_NEEDS: Final = Needs(runs_on="comfy", comfyui=True, memory_gib=8.0)
_TIMEOUT_S: Final = 3600.0


@operation("sdxl.text_to_image", needs=_NEEDS, timeout_s=_TIMEOUT_S)
def text_to_image(
    model: CheckpointName,
    prompt: Prompt,
    negative_prompt: Prompt = "",
    width: Size = 1024,
    height: Size = 1024,
    seed: Seed = 0,
    steps: Steps = 20,
    guidance: Guidance = 7.0,
    sampler: SamplerName = "euler",
    scheduler: SchedulerName = "normal",
    batch: Batch = 1,
    loras: Loras = [],  # noqa: B006 - a declaration, which pydantic copies
    controlnets: ControlNets = [],  # noqa: B006 - as above
    clip_skip: ClipSkip | None = None,
    hires: HiresFix | None = None,
    tile_px: Tile | None = None,
    embed_graph: bool = True,
    *,
    ctx: Context = LOCAL,
) -> Generated:
    """Make pictures from words.

    *model* is a checkpoint with its text encoder and VAE: SDXL, SD 1.5, or any other that ComfyUI
    makes out. Samplers and schedulers are ComfyUI's. With *hires* the picture is made small and
    then again, larger. *embed_graph* writes the work into the PNG files as a graph.
    """
    from . import generating

    recipe = Recipe(
        model, prompt, negative_prompt, seed, steps, guidance, sampler, scheduler, batch, loras,
        controlnets, clip_skip, tile_px, embed_graph,
    )  # fmt: skip
    return generating.from_text(recipe, width, height, hires, ctx)


@operation("sdxl.image_to_image", needs=_NEEDS, timeout_s=_TIMEOUT_S)
def image_to_image(
    model: CheckpointName,
    image: Image,
    prompt: Prompt,
    negative_prompt: Prompt = "",
    strength: Strength = 0.6,
    width: Size | None = None,
    height: Size | None = None,
    seed: Seed = 0,
    steps: Steps = 20,
    guidance: Guidance = 7.0,
    sampler: SamplerName = "euler",
    scheduler: SchedulerName = "normal",
    batch: Batch = 1,
    loras: Loras = [],  # noqa: B006 - a declaration, which pydantic copies
    controlnets: ControlNets = [],  # noqa: B006 - as above
    clip_skip: ClipSkip | None = None,
    tile_px: Tile | None = None,
    embed_graph: bool = True,
    *,
    ctx: Context = LOCAL,
) -> Generated:
    """Make pictures from a picture and words.

    The *image* keeps its size, whose sides are multiples of 8, or is first scaled to *width* and
    *height* (cut evenly where the shape differs). Its transparency is left out.
    """
    from . import generating

    recipe = Recipe(
        model, prompt, negative_prompt, seed, steps, guidance, sampler, scheduler, batch, loras,
        controlnets, clip_skip, tile_px, embed_graph,
    )  # fmt: skip
    return generating.from_image(recipe, image, strength, (width, height), ctx)


@operation("sdxl.inpaint", needs=_NEEDS, timeout_s=_TIMEOUT_S)
def inpaint(
    model: CheckpointName,
    image: Image,
    mask: Mask,
    prompt: Prompt,
    negative_prompt: Prompt = "",
    strength: Strength = 1.0,
    seed: Seed = 0,
    steps: Steps = 20,
    guidance: Guidance = 7.0,
    sampler: SamplerName = "euler",
    scheduler: SchedulerName = "normal",
    batch: Batch = 1,
    loras: Loras = [],  # noqa: B006 - a declaration, which pydantic copies
    controlnets: ControlNets = [],  # noqa: B006 - as above
    clip_skip: ClipSkip | None = None,
    tile_px: Tile | None = None,
    embed_graph: bool = True,
    *,
    ctx: Context = LOCAL,
) -> Generated:
    """Fill a part of a picture.

    *mask* is as large as *image*: 1 is made anew, 0 is kept bit for bit, values between are mixed.
    Models made for inpainting see the rest of the picture; the others serve as well.
    """
    from . import generating

    recipe = Recipe(
        model, prompt, negative_prompt, seed, steps, guidance, sampler, scheduler, batch, loras,
        controlnets, clip_skip, tile_px, embed_graph,
    )  # fmt: skip
    return generating.filled(recipe, image, mask, strength, ctx)


@operation("sdxl.upscale", needs=_NEEDS, timeout_s=_TIMEOUT_S)
def upscale(
    model: UpscalerName, image: Image, embed_graph: bool = True, *, ctx: Context = LOCAL
) -> Generated:
    """Make a picture larger with an upscaling model (ESRGAN, SwinIR …), by the model's factor.

    *model* is a file in ``upscale_models``.
    """
    from . import enlarging

    return enlarging.enlarged(model, image, ctx, embed_graph=embed_graph)
