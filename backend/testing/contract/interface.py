"""What nodes take and give, as a small document that two releases can be compared by.

Knows: the nodes that the bricks call, the snapshot of the pin, and which change breaks what.
Does not know: how ComfyUI is booted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

SNAPSHOT: Final = Path(__file__).with_name("interface.json")

USES: Final[dict[str, str]] = {
    "BasicScheduler": "model scheduler steps denoise > SIGMAS",
    "CLIPLoader": "clip_name type > CLIP",
    "CLIPSetLastLayer": "clip stop_at_clip_layer > CLIP",
    "CLIPTextEncode": "clip text > CONDITIONING",
    "CLIPVisionEncode": "clip_vision image crop > CLIP_VISION_OUTPUT",
    "CLIPVisionLoader": "clip_name > CLIP_VISION",
    "CheckpointLoaderSimple": "ckpt_name > MODEL CLIP VAE",
    "ConditioningCombine": "conditioning_1 conditioning_2 > CONDITIONING",
    "ConditioningZeroOut": "conditioning > CONDITIONING",
    "ControlNetApplyAdvanced": "positive negative control_net image strength start_percent "
    "end_percent vae > CONDITIONING CONDITIONING",
    "ControlNetLoader": "control_net_name > CONTROL_NET",
    "CreateVideo": "images fps audio > VIDEO",
    "DualCLIPLoader": "clip_name1 clip_name2 type > CLIP",
    "EmptyImage": "width height batch_size color > IMAGE",
    "EmptyLTXVLatentVideo": "width height length batch_size > LATENT",
    "EmptyLatentImage": "width height batch_size > LATENT",
    "EmptySD3LatentImage": "width height batch_size > LATENT",
    "GetVideoComponents": "video > IMAGE AUDIO FLOAT",
    "ImageCompositeMasked": "destination source x y resize_source mask > IMAGE",
    "ImageScale": "image upscale_method width height crop > IMAGE",
    "ImageUpscaleWithModel": "upscale_model image > IMAGE",
    "InpaintModelConditioning": "positive negative vae pixels mask noise_mask "
    "> CONDITIONING CONDITIONING LATENT",
    "KSampler": "model seed steps cfg sampler_name scheduler positive negative latent_image "
    "denoise > LATENT",
    "KSamplerSelect": "sampler_name > SAMPLER",
    "LTXVConditioning": "positive negative frame_rate > CONDITIONING CONDITIONING",
    "LTXVImgToVideo": "positive negative vae image width height length batch_size "
    "> CONDITIONING CONDITIONING LATENT",
    "LTXVScheduler": "steps max_shift base_shift stretch terminal latent > SIGMAS",
    "LatentUpscaleBy": "samples upscale_method scale_by > LATENT",
    "LoadImage": "image > IMAGE MASK",
    "LoraLoader": "model clip lora_name strength_model strength_clip > MODEL CLIP",
    "PreviewAny": "source >",
    "PreviewImage": "images >",
    "RepeatImageBatch": "image amount > IMAGE",
    "RepeatLatentBatch": "samples amount > LATENT",
    "SamplerCustom": "model add_noise noise_seed cfg positive negative sampler sigmas "
    "latent_image > LATENT LATENT",
    "SaveAudio": "audio filename_prefix >",
    "SaveImage": "images filename_prefix >",
    "SaveVideo": "video filename_prefix format codec >",
    "SetLatentNoiseMask": "samples mask > LATENT",
    "TripleCLIPLoader": "clip_name1 clip_name2 clip_name3 > CLIP",
    "UNETLoader": "unet_name weight_dtype > MODEL",
    "UpscaleModelLoader": "model_name > UPSCALE_MODEL",
    "VAEDecode": "samples vae > IMAGE",
    "VAEDecodeAudio": "samples vae > AUDIO",
    "VAEDecodeTiled": "samples vae tile_size overlap > IMAGE",
    "VAEEncode": "pixels vae > LATENT",
    "VAEEncodeForInpaint": "pixels vae mask > LATENT",
    "VAEEncodeTiled": "pixels vae tile_size overlap > LATENT",
    "VAELoader": "vae_name > VAE",
}
"""The stock nodes that bricks call: the inputs that they give, and the outputs that they take."""

Interface = dict[str, Any]
"""``{"nodes": {id: described}, "samplers": […], "schedulers": […]}``"""


def described(info: Mapping[str, Any]) -> dict[str, Any]:
    """One node of ``/object_info``: inputs with their types, which have defaults, output types."""
    groups = info["input"]
    required = dict(groups.get("required") or {})
    optional = dict(groups.get("optional") or {})
    return {
        "required": {name: _kind(spec) for name, spec in required.items()},
        "optional": {name: _kind(spec) for name, spec in optional.items()},
        "without_default": sorted(name for name, spec in required.items() if not _filled(spec)),
        "outputs": [_plain(kind) for kind in info["output"]],
    }


def _kind(spec: Any) -> str:
    return _plain(spec[0] if isinstance(spec, list | tuple) and spec else spec)


def _plain(kind: Any) -> str:
    """A choice is a choice, whatever it offers and whichever kind of node declares it."""
    return "COMBO" if isinstance(kind, list | tuple) else str(kind)


def _filled(spec: Any) -> bool:
    """Whether a graph may leave the input out: `fill_defaults` then has something to put there."""
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    return "default" in options or isinstance(spec[0], list | tuple) or spec[0] == "COMBO"


def breaches(full: Interface) -> list[str]:
    """A sentence for each use of a node by the bricks that *full* does not allow."""
    return [
        f"{name}: {told}"
        for name, use in USES.items()
        if name in full["nodes"]
        for told in _breaches(use, full["nodes"][name])
    ]


def _breaches(use: str, node: Mapping[str, Any]) -> Iterator[str]:
    given, _, taken = use.partition(">")
    inputs, outputs = given.split(), taken.split()
    known = {**node["required"], **node["optional"]}
    for name in inputs:
        if name not in known:
            yield f"there is no input {name}"
    for name in node["without_default"]:
        if name not in inputs:
            yield f"it asks for {name}"
    if node["outputs"][: len(outputs)] != outputs:
        yield f"it gives {node['outputs']}, not {outputs}"


def snapshot() -> Interface:
    """The pin's, as committed: the nodes that bricks call in full, and the names of all."""
    document: Interface = json.loads(SNAPSHOT.read_text("utf-8"))
    return document


def write_snapshot(version: str, full: Interface, used: Iterable[str]) -> None:
    """Commit-ready: only what *used* names is kept in full."""
    wanted = sorted(set(used) & full["nodes"].keys())
    document = {
        "version": version,
        "samplers": full["samplers"],
        "schedulers": full["schedulers"],
        "names": sorted(full["nodes"]),
        "nodes": {name: full["nodes"][name] for name in wanted},
    }
    SNAPSHOT.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """How one node differs, a few words each, and whether graphs that use it break by that."""
    found = []
    before = {**old["required"], **old["optional"]}
    after = {**new["required"], **new["optional"]}
    for name in sorted(before.keys() - after.keys()):
        found.append((f"input {name} is gone", True))
    for name in sorted(after.keys() - before.keys()):
        asked = name in new["without_default"]
        found.append((f"new {'required ' if name in new['required'] else ''}input {name}", asked))
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            found.append((f"input {name} is {after[name]}, was {before[name]}", False))
    kept = new["outputs"][: len(old["outputs"])]
    if kept != old["outputs"]:
        found.append((f"outputs are {new['outputs']}, were {old['outputs']}", True))
    elif len(new["outputs"]) > len(old["outputs"]):
        found.append((f"new outputs {new['outputs'][len(kept) :]}", False))
    return found
