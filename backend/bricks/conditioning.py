"""Conditioning: what a sampler shall make, from texts, ControlNets and pictures to fill.

Knows: the stock nodes behind each verb.
Does not know: how a conditioning is built; it is opaque.
"""

from __future__ import annotations

from typing import Any

from backend.bricks.direct import verb


def encode_text(clip: Any, text: str) -> Any:
    """The conditioning of a prompt, with ComfyUI's weights (``(word:1.2)``) and embeddings."""
    return verb("CLIPTextEncode", clip=clip, text=text)[0]


def encode_picture(clip_vision: Any, image: Any, *, crop: bool = True) -> Any:
    """What an image encoder sees in a picture (IMAGE ``[B, H, W, C]``): its middle is cut out, or
    without *crop* the whole is squeezed into a square."""
    crops = "center" if crop else "none"
    return verb("CLIPVisionEncode", clip_vision=clip_vision, image=image, crop=crops)[0]


def skip_layers(clip: Any, last: int) -> Any:
    """A text encoder that stops at its *last* layer, counted from the end: 1 is the whole of it,
    2 what is called clip skip 2. The original is not changed."""
    return verb("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-last)[0]


def combine(one: Any, other: Any) -> Any:
    """Both conditionings at once."""
    return verb("ConditioningCombine", conditioning_1=one, conditioning_2=other)[0]


def zero_out(conditioning: Any) -> Any:
    """The same conditioning with zeros: what models without a negative prompt take for one."""
    return verb("ConditioningZeroOut", conditioning=conditioning)[0]


def apply_controlnet(
    positive: Any,
    negative: Any,
    controlnet: Any,
    image: Any,
    *,
    strength: float = 1.0,
    start: float = 0.0,
    end: float = 1.0,
    vae: Any = None,
) -> tuple[Any, Any]:
    """Both conditionings, guided by a picture (IMAGE ``[B, H, W, C]``) from *start* to *end*,
    parts of the sampling. Some ControlNets need the *vae*."""
    both = verb(
        "ControlNetApplyAdvanced",
        positive=positive,
        negative=negative,
        control_net=controlnet,
        image=image,
        strength=strength,
        start_percent=start,
        end_percent=end,
        vae=vae,
    )
    return both[0], both[1]


def inpaint(positive: Any, negative: Any, vae: Any, image: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Conditionings and latent for filling a picture (IMAGE) where *mask* (MASK) is 1.

    Serves models made for inpainting, which see the picture, and all others, which do not.
    """
    made = verb(
        "InpaintModelConditioning",
        positive=positive,
        negative=negative,
        vae=vae,
        pixels=image,
        mask=mask,
        noise_mask=True,
    )
    return made[0], made[1], made[2]
