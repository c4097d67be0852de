"""How pictures are made: the order of the verbs, once for each operation.

Knows: which brick comes after which.
Does not know: ComfyUI; parameters' ranges (``parameters`` declares them).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from backend.bricks import (
    checkpoints,
    conditioning,
    direct,
    folders,
    latents,
    lora,
    pictures,
    recording,
    sampling,
    vae,
)
from backend.media.image import Image, Mask
from backend.media.weights import fingerprint
from backend.plugins import Context, refused

from .parameters import HiresFix, Recipe
from .results import Generated, UsedModel
from .telling import finished

MULTIPLE: Final = 8
"""Pixels to one of a latent."""

_SIZES: Final = re.compile(r"size|shape|dimension|channels")
"""Words of torch's when two tensors do not fit each other."""


@dataclass(slots=True)
class Prepared:
    """What sampling starts from: the model with its LoRAs, and what it shall make."""

    checkpoint: checkpoints.Checkpoint
    model: Any
    positive: Any
    negative: Any
    warnings: list[str]
    additions: list[UsedModel]


def from_text(
    recipe: Recipe, width: int, height: int, hires: HiresFix | None, ctx: Context
) -> Generated:
    """See ``operations.text_to_image``."""
    more = {"width": width, "height": height, "hires": hires.model_dump() if hires else None}
    second = (hires.steps or recipe.steps) if hires else 0

    def made(ready: Prepared) -> Any:
        latent = latents.empty(width, height, recipe.batch)
        latent = _sampled(recipe, ready, latent, 1.0)
        if hires is not None:
            latent = latents.enlarge(latent, hires.scale)
            latent = _sampled(replace(recipe, steps=second), ready, latent, hires.strength)
        return vae.decode(ready.checkpoint.vae, latent, recipe.tile_px)

    return _run("sdxl.text_to_image", recipe, more, made, ctx, recipe.steps + second)


def from_image(
    recipe: Recipe,
    image: Image,
    strength: float,
    size: tuple[int | None, int | None],
    ctx: Context,
) -> Generated:
    """See ``operations.image_to_image``."""
    width, height = size[0] or image.width, size[1] or image.height
    if size == (None, None):
        _check_size(image)
    elif width % MULTIPLE or height % MULTIPLE:
        told = f"give width and height: the picture's own are {image.width} x {image.height}"
        raise refused("/width" if size[0] is None else "/height", "multiple_of", told)

    def made(ready: Prepared) -> Any:
        pixels = pictures.given(image, "image.png")
        if (width, height) != (image.width, image.height):
            pixels = pictures.scale(pixels, width, height)
        latent = vae.encode(ready.checkpoint.vae, pixels, recipe.tile_px)
        latent = latents.repeat(latent, recipe.batch)
        latent = _sampled(recipe, ready, latent, strength)
        return vae.decode(ready.checkpoint.vae, latent, recipe.tile_px)

    more = {"width": width, "height": height, "strength": strength}
    return _run("sdxl.image_to_image", recipe, more, made, ctx, inputs={"/image": image})


def filled(recipe: Recipe, image: Image, mask: Mask, strength: float, ctx: Context) -> Generated:
    """See ``operations.inpaint``."""
    _check_size(image)
    if (mask.width, mask.height) != (image.width, image.height):
        told = f"the mask is {mask.width} x {mask.height}, the picture {image.width} x "
        raise refused("/mask", "size", f"{told}{image.height}; both must be as large")
    if not mask.values.any():
        raise refused("/mask", "empty", "the mask is 0 everywhere, so there is nothing to fill")

    def made(ready: Prepared) -> Any:
        pixels = pictures.given(image, "image.png")
        where = pictures.given_mask(mask, "mask.png")
        seen = conditioning.inpaint(
            ready.positive, ready.negative, ready.checkpoint.vae, pixels, where
        )
        ready.positive, ready.negative = seen[0], seen[1]
        latent = _sampled(recipe, ready, latents.repeat(seen[2], recipe.batch), strength)
        new = vae.decode(ready.checkpoint.vae, latent, recipe.tile_px)
        return pictures.lay_over(pixels, new, where)

    inputs: dict[str, Image | Mask] = {"/image": image, "/mask": mask}
    return _run("sdxl.inpaint", recipe, {"strength": strength}, made, ctx, inputs=inputs)


def _run(
    operation: str,
    recipe: Recipe,
    more: Mapping[str, Any],
    made: Callable[[Prepared], Any],
    ctx: Context,
    steps: int | None = None,
    inputs: Mapping[str, Image | Mask] | None = None,
) -> Generated:
    """Prepare, make, and tell how it went; *steps* are those of all samplings together, *inputs*
    the pictures that came in, besides those of ControlNets."""
    guides = {f"/controlnets/{n}/image": each.image for n, each in enumerate(recipe.controlnets)}

    def work() -> Generated:
        sampling.check(recipe.sampler, recipe.scheduler)
        with recording.recording() as done, direct.planned(steps or recipe.steps):
            ready = _prepared(recipe)
            pixels = made(ready)
            # not asdict, which would copy the pictures of the ControlNets
            parameters = {each.name: getattr(recipe, each.name) for each in fields(recipe)}
            parameters.update(more)
            parameters["loras"] = [each.model_dump() for each in recipe.loras]
            parameters["controlnets"] = [
                each.model_dump(exclude={"image"}) for each in recipe.controlnets
            ]
            return finished(
                operation, parameters, ready.checkpoint, pixels, done, ready.warnings,
                embed=recipe.embed_graph, inputs={**(inputs or {}), **guides},
                additions=ready.additions,
            )  # fmt: skip

    return direct.run(work, ctx)


def _prepared(recipe: Recipe) -> Prepared:
    checkpoint = checkpoints.load_checkpoint(recipe.model)
    for part, value in (("text encoder", checkpoint.clip), ("VAE", checkpoint.vae)):
        if value is None:
            told = f"the checkpoint {recipe.model!r} holds no {part}"
            raise refused("/model", "incomplete_model", told)
    model, clip, warnings = checkpoint.model, checkpoint.clip, list[str]()
    additions = list[UsedModel]()
    for number, each in enumerate(recipe.loras):
        model, clip, told_of = lora.apply(
            model,
            clip,
            each.name,
            strength=each.strength,
            clip_strength=each.clip_strength,
            pointer=f"/loras/{number}/name",
        )
        warnings += told_of
        additions.append(_used("loras", each.name, checkpoint.architecture))
    if recipe.clip_skip is not None:
        clip = conditioning.skip_layers(clip, recipe.clip_skip)
    positive = conditioning.encode_text(clip, recipe.prompt)
    negative = conditioning.encode_text(clip, recipe.negative_prompt)
    for number, guide in enumerate(recipe.controlnets):
        if guide.start >= guide.end:
            told = f"the ControlNet begins at {guide.start} and ends at {guide.end}"
            raise refused(f"/controlnets/{number}/end", "order", told)
        loaded = checkpoints.load_controlnet(guide.name, f"/controlnets/{number}/name")
        additions.append(_used("controlnet", guide.name, type(loaded).__name__))
        positive, negative = conditioning.apply_controlnet(
            positive,
            negative,
            loaded,
            pictures.given(guide.image, f"controlnet_{number + 1}.png"),
            strength=guide.strength,
            start=guide.start,
            end=guide.end,
            vae=checkpoint.vae,
        )
    return Prepared(checkpoint, model, positive, negative, warnings, additions)


def _used(kind: str, name: str, architecture: str) -> UsedModel:
    """A model file that takes part, which was loaded already."""
    mark = fingerprint(folders.model_file(kind, name))
    return UsedModel(name=name, architecture=architecture, fingerprint=mark)


def _sampled(recipe: Recipe, ready: Prepared, latent: Any, denoise: float) -> Any:
    try:
        with direct.part(recipe.steps):
            return sampling.sample(
                ready.model,
                ready.positive,
                ready.negative,
                latent,
                seed=recipe.seed,
                steps=recipe.steps,
                guidance=recipe.guidance,
                sampler=recipe.sampler,
                scheduler=recipe.scheduler,
                denoise=denoise,
            )
    except RuntimeError as error:
        # without a ControlNet the model fits itself; a device that fails says nothing of sizes
        if not recipe.controlnets or not _SIZES.search(str(error)):
            raise
        names = " or ".join(repr(each.name) for each in recipe.controlnets)
        told = f"{names} was made for another architecture than {ready.checkpoint.architecture}"
        raise refused("/controlnets", "controlnet_architecture", told) from error


def _check_size(image: Image) -> None:
    if image.width % MULTIPLE or image.height % MULTIPLE:
        told = f"the picture is {image.width} x {image.height}; its sides must be multiples of 8"
        raise refused("/image", "multiple_of", told)
