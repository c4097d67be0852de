"""Models from files: checkpoints and their parts, ControlNets, upscalers.

Knows: how a name becomes a loaded model, which one is kept, and what is wrong with a file.
Does not know: what models do. They are opaque: what one verb gives, another takes.

Names are those of `folders.list_models`. The last checkpoint stays loaded, as ComfyUI itself keeps
what its last graph used; where its weights lie, on the device or beside it, is ComfyUI's affair.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backend.bricks import folders
from backend.bricks._comfy import module
from backend.bricks.direct import verb
from backend.bricks.interruption import is_out_of_memory, with_freed_memory
from backend.bricks.recording import record
from backend.bricks.wording import without_paths
from backend.errors import KinoError, refused
from backend.media import weights

UPSCALERS: Final = weights.UPSCALERS
"""Suffixes that an upscaler may have besides those of files without code."""

_TEXT_LOADERS: Final = {1: "CLIPLoader", 2: "DualCLIPLoader", 3: "TripleCLIPLoader"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded checkpoint: ``clip`` and ``vae`` are None if the file holds none."""

    name: str
    architecture: str
    """What ComfyUI took it for: ``SDXL``, ``SD15`` …"""
    model: Any
    clip: Any
    vae: Any
    fingerprint: str


_held: tuple[Any, Checkpoint] | None = None


def load_checkpoint(
    name: str, *, text_encoder_options: Mapping[str, Any] | None = None, pointer: str = "/model"
) -> Checkpoint:
    """Load a checkpoint, of whatever architecture ComfyUI makes out.

    Raises `InvalidParameters` at *pointer*: ``unknown_model``, ``pickle``, ``unreadable_model``.
    *text_encoder_options* go to ComfyUI as they are.
    """
    global _held  # noqa: PLW0603 (models are the process's, as the device's memory is)
    path = folders.model_file("checkpoints", name, pointer)
    facts = path.stat()
    options = dict(text_encoder_options or {})
    key = (path, facts.st_mtime_ns, facts.st_size, repr(options))
    if _held is None or _held[0] != key:
        _held = None  # two of them might not fit
        loaded = readable(name, pointer, lambda: with_freed_memory(lambda: _load(path, options)))
        parts = (loaded[0], loaded[1], _present(loaded[2]))
        kind = type(parts[0].model.model_config).__name__
        _held = key, Checkpoint(name, kind, *parts, weights.fingerprint(path))
    found = _held[1]
    record("CheckpointLoaderSimple", {"ckpt_name": name}, (found.model, found.clip, found.vae))
    return found


def forget() -> None:
    """Let go of the checkpoint that is kept."""
    global _held  # noqa: PLW0603 (see above)
    _held = None


def load_diffusion_model(name: str, pointer: str = "/model") -> Any:
    """A diffusion model of its own. Raises `InvalidParameters` as `load_checkpoint` does."""
    return _part(
        "diffusion_models", name, pointer, "UNETLoader", "unet_name", weight_dtype="default"
    )


def load_text_encoder(
    names: Sequence[str], kind: str | None = None, pointer: str = "/text_encoders"
) -> Any:
    """One to three text encoders as one CLIP; *kind* is ComfyUI's (``sd3``, ``flux`` …), not asked
    for where there are three. Raises `InvalidParameters` as `load_checkpoint` does."""
    if len(names) not in _TEXT_LOADERS:
        raise refused(pointer, "count", f"one to three text encoders are loaded, not {len(names)}")
    for name in names:
        folders.model_file("text_encoders", name, pointer)
    slots = ["clip_name"] if len(names) == 1 else [f"clip_name{n + 1}" for n in range(len(names))]
    given = dict(zip(slots, names, strict=True))
    loader = _TEXT_LOADERS[len(names)]
    named = " and ".join(names)
    wanted = kind if len(names) < 3 else None
    return readable(named, pointer, lambda: verb(loader, **given, type=wanted)[0])


def load_vae(name: str, pointer: str = "/vae") -> Any:
    """A VAE of its own. Raises `InvalidParameters` as `load_checkpoint` does."""
    return _part("vae", name, pointer, "VAELoader", "vae_name")


def load_controlnet(name: str, pointer: str = "/controlnet") -> Any:
    """A ControlNet. Raises `InvalidParameters` as `load_checkpoint` does."""
    return _part("controlnet", name, pointer, "ControlNetLoader", "control_net_name")


def load_clip_vision(name: str, pointer: str = "/clip_vision") -> Any:
    """An image encoder. Raises `InvalidParameters` as `load_checkpoint` does."""
    return _part("clip_vision", name, pointer, "CLIPVisionLoader", "clip_name")


def load_upscaler(name: str, pointer: str = "/model") -> Any:
    """An upscaling model (ESRGAN …); its attribute ``scale`` is the factor. Raises
    `InvalidParameters` as `load_checkpoint` does.

    Most are only to be had as ``.pth``. ComfyUI's loader reads such a file with torch's
    ``weights_only``, which takes tensors and plain containers, and nothing that is code.
    """
    return _part(
        "upscale_models", name, pointer, "UpscaleModelLoader", "model_name", _also=UPSCALERS
    )


def _load(path: Path, options: dict[str, Any]) -> Any:
    where = module("folder_paths").get_folder_paths("embeddings")
    return module("comfy.sd").load_checkpoint_guess_config(
        str(path), embedding_directory=where, te_model_options=options
    )


def _present(vae: Any) -> Any:
    """The VAE, or None for the stand-in that a file without one gets."""
    return vae if getattr(vae, "first_stage_model", None) is not None else None


def _part(
    kind: str,
    name: str,
    pointer: str,
    loader: str,
    slot: str,
    _also: Sequence[str] = (),
    **more: Any,
) -> Any:
    folders.model_file(kind, name, pointer, also=_also)
    return readable(name, pointer, lambda: verb(loader, **{slot: name}, **more)[0])


def readable(name: str, pointer: str, load: Callable[[], Any]) -> Any:
    """What *load* gives; its errors as ``unreadable_model``, for they come from the file."""
    try:
        return load()
    except KinoError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        _log.warning("the model %s could not be loaded", name, exc_info=error)
        why = without_paths(str(error).partition("\n")[0]) or type(error).__name__
        told = f"{name!r} is not a model that can be loaded here: {why}"
        raise refused(pointer, "unreadable_model", told) from error
