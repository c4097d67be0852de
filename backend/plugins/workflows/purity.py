"""Which graphs give equal results for equal values: those whose every node is known to.

Knows: stock nodes whose outputs depend on their inputs alone, and those that load model files.
Does not know: anything about other nodes. One that is not listed here, a node pack's or a new one,
may look at a clock, a file or a random number: a graph with it is run each time.

A test holds the names against the pinned ComfyUI: each is there, is a stock node, and has no way of
saying that it changed by itself (``IS_CHANGED``, ``fingerprint_inputs``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from backend.media.dependence import Dependence, names_embedding

LOADERS: Final[dict[str, dict[str, str]]] = {
    "CheckpointLoaderSimple": {"ckpt_name": "checkpoints"},
    "CLIPLoader": {"clip_name": "text_encoders"},
    "CLIPVisionLoader": {"clip_name": "clip_vision"},
    "ControlNetLoader": {"control_net_name": "controlnet"},
    "DualCLIPLoader": {"clip_name1": "text_encoders", "clip_name2": "text_encoders"},
    "LoraLoader": {"lora_name": "loras"},
    "LoraLoaderModelOnly": {"lora_name": "loras"},
    "StyleModelLoader": {"style_model_name": "style_models"},
    "TripleCLIPLoader": {
        "clip_name1": "text_encoders",
        "clip_name2": "text_encoders",
        "clip_name3": "text_encoders",
    },
    "UNETLoader": {"unet_name": "diffusion_models"},
    "UpscaleModelLoader": {"model_name": "upscale_models"},
    "VAELoader": {"vae_name": "vae"},
}
"""Nodes that load model files: which input names a file of which kind."""

STEADY: Final = frozenset((
    "AlignYourStepsScheduler", "BasicGuider", "BasicScheduler", "BetaSamplingScheduler",
    "CFGGuider", "CLIPSetLastLayer", "CLIPTextEncode", "CLIPTextEncodeFlux",
    "CLIPTextEncodeSD3", "CLIPTextEncodeSDXL", "CLIPTextEncodeSDXLRefiner", "CLIPVisionEncode",
    "ConditioningAverage", "ConditioningCombine", "ConditioningConcat", "ConditioningSetArea",
    "ConditioningSetAreaPercentage", "ConditioningSetAreaStrength", "ConditioningSetMask",
    "ConditioningSetTimestepRange", "ConditioningZeroOut", "ControlNetApply",
    "ControlNetApplyAdvanced", "CropMask", "DifferentialDiffusion", "DisableNoise",
    "EmptyImage", "EmptyLatentImage", "EmptySD3LatentImage", "ExponentialScheduler",
    "FeatherMask", "FlipSigmas", "FluxGuidance", "FreeU", "FreeU_V2", "GrowMask", "ImageBatch",
    "ImageBlend", "ImageBlur", "ImageColorToMask", "ImageCompositeMasked", "ImageCrop",
    "ImageFromBatch", "ImageInvert", "ImagePadForOutpaint", "ImageQuantize", "ImageScale",
    "ImageScaleBy", "ImageScaleToTotalPixels", "ImageSharpen", "ImageToMask",
    "ImageUpscaleWithModel", "InpaintModelConditioning", "InvertMask", "JoinImageWithAlpha",
    "KSampler", "KSamplerAdvanced", "KSamplerSelect", "KarrasScheduler", "LatentAdd",
    "LatentBatch", "LatentBlend", "LatentComposite", "LatentCompositeMasked", "LatentCrop",
    "LatentFlip", "LatentFromBatch", "LatentInterpolate", "LatentMultiply", "LatentRotate",
    "LatentSubtract", "LatentUpscale", "LatentUpscaleBy", "MaskComposite", "MaskToImage",
    "ModelSamplingDiscrete", "ModelSamplingFlux", "ModelSamplingSD3",
    "PolyexponentialScheduler", "PreviewImage", "RandomNoise", "RepeatImageBatch",
    "RepeatLatentBatch", "RescaleCFG", "SamplerCustom", "SamplerCustomAdvanced", "SaveImage",
    "SDTurboScheduler", "SetLatentNoiseMask", "SolidMask", "SplitImageWithAlpha", "SplitSigmas",
    "StyleModelApply", "ThresholdMask", "VAEDecode", "VAEDecodeTiled", "VAEEncode",
    "VAEEncodeForInpaint", "VAEEncodeTiled", "VPScheduler", "unCLIPConditioning",
))  # fmt: skip
"""Stock nodes that compute, and those that save or show what they are given."""

OWN: Final = frozenset(("KinoLoadAsset", "KinoSaveAsset"))
"""What they give is named by an asset's content."""


def note(graph: Mapping[str, Mapping[str, Any]], depends: Dependence) -> None:
    """Note in *depends* which model files the graph loads, and whether it may vary."""
    for node in graph.values():
        name, inputs = node["class_type"], node.get("inputs", {})
        if name in LOADERS:
            for slot, kind in LOADERS[name].items():
                _note_model(kind, inputs.get(slot), depends)
        elif name not in STEADY and name not in OWN:
            depends.varies = True
    # as text: ComfyUI takes a value out of {"__value__": …} only when it runs the graph
    if names_embedding(json.dumps([node.get("inputs") for node in graph.values()])):
        depends.varies = True


def _note_model(kind: str, name: Any, depends: Dependence) -> None:
    """A file that is named by another node, or by nobody, cannot be looked at beforehand."""
    if isinstance(name, str):
        depends.models.append((kind, name))
    else:
        depends.varies = True
