"""What a file of weights is: its type and its architecture, from its header alone.

Knows: checkpoints and their parts, LoRAs, ControlNets, autoencoders, text encoders, upscalers.
Does not know: whether it loads. ComfyUI decides that; here names, shapes and metadata are read.

Shapes are believed before metadata, which anybody can write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from backend.media.weights import Header
from backend.services.model_names import (
    CONTROLNETS,
    LATENTS,
    METADATA,
    TRANSFORMERS,
    UNETS,
    UPSCALERS,
    VAES,
    WAN_VARIANTS,
    Names,
)
from backend.services.model_text_encoders import text_encoder

Type = Literal[
    "checkpoint", "diffusion_model", "lora", "controlnet", "vae", "text_encoder", "clip_vision",
    "upscaler", "embedding", "stems", "unknown",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """``architecture`` is None where nothing tells; ``variant`` narrows it (``inpainting``);
    ``parts`` are what a checkpoint holds beside its diffusion model; ``naming`` is a LoRA's."""

    type: Type
    architecture: str | None = None
    variant: str | None = None
    parts: tuple[str, ...] = ()
    naming: str | None = None


_DIFFUSION: Final = ("model.diffusion_model.", "model.model.", "net.")
_PARTS: Final = (
    ("text_encoder", ("cond_stage_model.", "conditioner.", "text_encoders.")),
    ("vae", ("first_stage_model.", "vae.")),
)
_LORA: Final = re.compile(
    r"\.(lora_down|lora_up|lora_A|lora_B|lora\.down|lora\.up|hada_w1_a|lokr_w1|lokr_w1_a)(\.|$)"
)
_DOWN: Final = (
    ".lora_down.weight",
    ".lora_A.weight",
    ".lora.down.weight",
    ".lora_A.default.weight",
)
_CONTROL: Final = (
    "input_hint_block.", "controlnet_cond_embedding.", "controlnet_blocks.", "control_model.",
    "lora_controlnet", "after_proj_list.", "control_img_in.",
)  # fmt: skip
_CROSS: Final = (
    "attn2.to_k.weight", "attn2_to_k.weight", "attn2.to_v.weight", "attn2_to_v.weight",
)  # fmt: skip


def architecture_of(header: Header) -> Kind:
    """The type and the architecture of the file with this header."""
    names = Names(header.tensors)
    if header.metadata.get("klass", "").startswith("demucs."):
        return Kind("stems", header.metadata["klass"].rpartition(".")[2].lower())
    if any(_LORA.search(name) for name in names.tensors):
        return _lora(names, header.metadata)
    if names.any(*_CONTROL):
        return _controlnet(names)
    for prefix in _DIFFUSION:
        below = Names(header.tensors, prefix)
        if len(below) > 5:
            return _with_parts(names, below, header.metadata)
    return _alone(names, header.metadata)


def _with_parts(names: Names, below: Names, metadata: Mapping[str, str]) -> Kind:
    architecture, variant = _diffusion(below)
    parts = tuple(
        part
        for part, prefixes in _PARTS
        if any(name.startswith(prefixes) for name in names.tensors)
    )
    told = architecture or _told(metadata)
    return Kind("checkpoint" if parts else "diffusion_model", told, variant, parts)


def _alone(names: Names, metadata: Mapping[str, str]) -> Kind:
    """A file of one part."""
    architecture, variant = _diffusion(names)
    if architecture is not None:
        return Kind("diffusion_model", architecture, variant)
    if names.any("vision_model.encoder.layers."):
        return Kind("clip_vision", _clip_vision(names))
    encoder = text_encoder(names)
    if encoder is not None:
        return Kind("text_encoder", encoder)
    vae = names.first(VAES) or LATENTS.get(names.size("decoder.conv_in.weight", 1) or 0)
    if vae is not None:
        return Kind("vae", vae)
    upscaler = names.first(UPSCALERS)
    if upscaler is not None:
        return Kind("upscaler", upscaler)
    return _embedding(names) or Kind("unknown", _told(metadata))


def _diffusion(names: Names) -> tuple[str | None, str | None]:
    """Architecture and variant of a diffusion model."""
    for first in ("input_blocks.0.0.weight", "conv_in.weight"):
        if first in names and names.any("input_blocks.", "down_blocks."):
            return _unet(names, first)
    told = names.first(TRANSFORMERS)
    if told == "sd3" and names.any(".ln_q.", ".norm_q.", "x_block.attn2."):
        return "sd3.5", None
    if told == "wan":
        return told, names.first(WAN_VARIANTS) or "t2v"
    return told, None


def _unet(names: Names, first: str) -> tuple[str | None, str | None]:
    if names.any("time_stack.", "time_mix_blocks."):
        return "svd", None
    architecture = UNETS.get(names.size_of_first(_CROSS, 1) or 0)
    channels = names.size(first, 1)
    return architecture, {9: "inpainting", 8: "edit"}.get(channels or 0)


def _controlnet(names: Names) -> Kind:
    told = names.first(CONTROLNETS) or UNETS.get(names.size_of_first(_CROSS, 1) or 0)
    return Kind("controlnet", told)


def _clip_vision(names: Names) -> str | None:
    layers = "vision_model.encoder.layers.{}.layer_norm1.weight"
    if names.size(layers.format(0), 0) == 1152:
        return "siglip"
    found = ((47, "clip-vision-g"), (30, "clip-vision-h"), (22, "clip-vision-l"))
    return next((told for layer, told in found if layers.format(layer) in names), None)


def _embedding(names: Names) -> Kind | None:
    if "clip_g" in names:
        return Kind("embedding", "sdxl")
    if "emb_params" in names:
        return Kind("embedding", {768: "sd15", 1024: "sd2"}.get(names.size("emb_params", 1) or 0))
    return None


def _lora(names: Names, metadata: Mapping[str, str]) -> Kind:
    """A LoRA, by the width of the text that it changes, by its blocks, or by its metadata."""
    if names.any("lora_unet_", "lora_te"):
        naming = "kohya"
    elif names.any(".lora_A.", ".lora.down."):
        naming = "diffusers"
    else:
        naming = None
    told = _lora_by_shape(names) or _told(metadata)
    return Kind("lora", told, naming=naming)


_BLOCKS: Final = (
    (
        "flux-dev",
        ("double_blocks.0.img_attn.", "single_transformer_blocks", "double_blocks_0_img_a"),
    ),
    ("hunyuan-video", ("double_blocks.0.img_attn_qkv", "double_blocks_0_img_attn_qkv")),
    ("qwen-image", ("transformer_blocks.0.img_mlp.", "transformer_blocks_0_img_mlp")),
    ("sd3", ("joint_blocks.", "joint_blocks_", "transformer_blocks.0.attn.add_")),
    ("wan", ("blocks.0.cross_attn.k.", "blocks_0_cross_attn_k.")),
)


def _lora_by_shape(names: Names) -> str | None:
    cross = [end.removesuffix(".weight") + down for end in _CROSS for down in _DOWN]
    inside = names.any("down_blocks", "input_blocks", "mid_block", "up_blocks", "output_blocks")
    width = names.size_of_first(cross, 1)
    if inside and width is not None and width in UNETS:
        return UNETS[width]
    if names.any("lora_te2_"):
        return "sdxl"
    for told, parts in reversed(_BLOCKS):
        if names.any(*parts):
            return _flux_like(names, told)
    return "ltxv" if not inside and names.any("transformer_blocks.0.attn2.to_k.") else None


def _flux_like(names: Names, told: str) -> str:
    """Names of Hunyuan's blocks begin like Flux's."""
    if told == "flux-dev" and names.any("img_attn_qkv") and not names.any("single_blocks_0_linear"):
        return "hunyuan-video"
    return told


def _told(metadata: Mapping[str, str]) -> str | None:
    """What the metadata say, if that is a name we know."""
    for key in ("ss_base_model_version", "modelspec.architecture"):
        said = metadata.get(key, "").lower()
        for part, told in METADATA:
            if said and part in said:
                return told
    return None
