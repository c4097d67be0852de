"""LoRAs: small changes to a model, one on top of the other.

Knows: how a file's weights meet the model's, and what it means if they do not.
Does not know: where the model came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.bricks import _compat, folders
from backend.bricks._comfy import module
from backend.bricks.checkpoints import readable
from backend.bricks.recording import record
from backend.errors import refused


def apply(
    model: Any,
    clip: Any,
    name: str,
    *,
    strength: float = 1.0,
    clip_strength: float | None = None,
    pointer: str = "/lora",
) -> tuple[Any, Any, list[str]]:
    """A model and its text encoder with a LoRA; the given ones are not changed.

    Also returns a sentence if some of it found no place. Raises `InvalidParameters` at *pointer*:
    ``unknown_model``, ``pickle``, ``unreadable_model``, and ``lora_architecture`` for one that
    fits nowhere, or whose weights have other sizes: it was made for another architecture.
    """
    path = folders.model_file("loras", name, pointer)
    weights = readable(
        name, pointer, lambda: module("comfy.utils").load_torch_file(str(path), safe_load=True)
    )
    patches = _patches(model, clip, dict(weights))
    architecture = type(model.model.model_config).__name__
    misfits = [key for key, patch in patches.items() if not _fits(patch, _target(model, clip, key))]
    if not patches or misfits:
        told = f"the LoRA {name!r} was made for another architecture than {architecture}"
        told += ": its weights have other sizes" if misfits else ": nothing in it has a place here"
        raise refused(pointer, "lora_architecture", told)
    on_clip = strength if clip_strength is None else clip_strength
    changed = module("comfy.sd").load_lora_for_models(model, clip, weights, strength, on_clip)
    inputs = {
        "model": model,
        "clip": clip,
        "lora_name": name,
        "strength_model": strength,
        "strength_clip": on_clip,
    }
    record("LoraLoader", inputs, changed)
    return changed[0], changed[1], _left_over(name, weights, patches)


def _patches(model: Any, clip: Any, weights: Mapping[str, Any]) -> dict[Any, Any]:
    """What of the file has a place in the model: ``{weight: patch}``."""
    lora = module("comfy.lora")
    places = lora.model_lora_keys_unet(model.model, {})
    if clip is not None:
        places = lora.model_lora_keys_clip(clip.cond_stage_model, places)
    converted = module("comfy.lora_convert").convert_lora(dict(weights))
    found: dict[Any, Any] = lora.load_lora(
        converted, places, **_compat.accepted(lora.load_lora, {"log_missing": False})
    )
    return found


def _target(model: Any, clip: Any, key: Any) -> Any:
    """The weight that a patch changes as a whole; None for a slice of one."""
    if not isinstance(key, str):
        return None
    weight = model.model_state_dict().get(key)
    return clip.patcher.model_state_dict().get(key) if weight is None and clip else weight


def _fits(patch: Any, weight: Any) -> bool:
    """Whether up x down is as large as the weight; only plain LoRAs are looked at."""
    parts = getattr(patch, "weights", None)
    if getattr(patch, "name", "") != "lora" or not parts or weight is None or parts[5:] != (None,):
        return True
    up, down = parts[0], parts[1]
    return bool(up.shape[0] == weight.shape[0] and down.shape[1] == weight.shape[1])


def _left_over(name: str, weights: Mapping[str, Any], patches: Mapping[Any, Any]) -> list[str]:
    modules = {key.partition(".lora_")[0] for key in weights if ".lora_" in key}
    missing = len(modules) - len(patches)
    if missing <= 0:
        return []
    return [f"the LoRA {name!r}: {missing} of its {len(modules)} parts have no place in the model"]
