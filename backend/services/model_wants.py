"""Which model files a graph names, and where the documents of workflows say they are published.

Knows: the inputs of loader nodes, and the lists ``properties.models`` of the editor's documents.
Does not know: which of the files are here (``services.models``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from backend.services.model_folders import ALIASES, SUFFIXES

INPUTS: Final[Mapping[str, str]] = {
    "ckpt_name": "checkpoints", "unet_name": "diffusion_models", "vae_name": "vae",
    "lora_name": "loras", "existing_lora": "loras", "control_net_name": "controlnet",
    "clip_name": "text_encoders", "clip_name1": "text_encoders", "clip_name2": "text_encoders",
    "clip_name3": "text_encoders", "clip_name4": "text_encoders", "text_encoder": "text_encoders",
    "style_model_name": "style_models", "gligen_name": "gligen",
    "hypernetwork_name": "hypernetworks", "photomaker_model_name": "photomaker",
    "audio_encoder_name": "audio_encoders", "bg_removal_name": "background_removal",
}  # fmt: skip
"""Input → the kind of file that it names. A test compares this with the pinned ComfyUI's nodes."""

OF_CLASS: Final[Mapping[tuple[str, str], str]] = {
    ("CLIPVisionLoader", "clip_name"): "clip_vision",
    ("ModelPatchLoader", "name"): "model_patches",
    ("UpscaleModelLoader", "model_name"): "upscale_models",
    ("LatentUpscaleModelLoader", "model_name"): "latent_upscale_models",
    ("FrameInterpolationModelLoader", "model_name"): "frame_interpolation",
    ("OpticalFlowLoader", "model_name"): "optical_flow",
    ("LoadMoGeModel", "model_name"): "geometry_estimation",
    ("LoadDA3Model", "model_name"): "geometry_estimation",
    ("LoadMediaPipeFaceLandmarker", "model_name"): "detection",
}
"""The same where one name means several things."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that somebody wants: what it is called, and where it is published if that is told.

    ``kind`` is None where a node of a pack does not say it. ``by`` names who wants it.
    """

    kind: str | None
    name: str
    source: str
    by: tuple[str, ...] = ()
    url: str | None = None
    sha256: str | None = None
    licence: str | None = None

    @property
    def page(self) -> str | None:
        """The page of the repository, where its licence can be read."""
        parts = web_parts(self.url or "")
        owner_and_name = parts.path.split("/")[1:3] if parts is not None else []
        if parts is None or parts.netloc != "huggingface.co" or len(owner_and_name) != 2:
            return None
        return f"https://huggingface.co/{'/'.join(owner_and_name)}"


def references(graph: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None, str]]:
    """``(node, input, kind, name)`` for each input of a graph that names a file of weights."""
    for node, content in graph.items():
        inputs = content.get("inputs") if isinstance(content, Mapping) else None
        if not isinstance(inputs, Mapping):
            continue
        for key, value in inputs.items():
            if not isinstance(value, str) or not value.lower().endswith(tuple(SUFFIXES)):
                continue
            last = str(key).rpartition(".")[2]
            kind = OF_CLASS.get((str(content.get("class_type")), last), INPUTS.get(last))
            yield str(node), str(key), kind, value


def published(document: Mapping[str, Any], source: str, by: str) -> Iterator[Wanted]:
    """The files that an editor's document lists beside its nodes, also inside its subgraphs."""
    definitions = document.get("definitions")
    inner = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
    places = [document, *(inner if isinstance(inner, list) else [])]
    nodes = [node for place in places if isinstance(place, Mapping) for node in _nodes(place)]
    for node in nodes:
        properties = node.get("properties")
        listed = properties.get("models") if isinstance(properties, Mapping) else None
        for entry in listed if isinstance(listed, list) else []:
            wanted = _wanted(entry, source, by)
            if wanted is not None:
                yield wanted


def _nodes(place: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    nodes = place.get("nodes")
    return [node for node in nodes if isinstance(node, Mapping)] if isinstance(nodes, list) else []


def _wanted(entry: Any, source: str, by: str) -> Wanted | None:
    if not isinstance(entry, Mapping):
        return None
    name, kind, url = (entry.get(key) for key in ("name", "directory", "url"))
    if not isinstance(name, str) or not isinstance(kind, str) or not name or not kind:
        return None
    digest = entry.get("hash") if str(entry.get("hash_type", "")).upper() == "SHA256" else None
    return Wanted(
        kind=ALIASES.get(kind, kind),
        name=name,
        source=source,
        by=(by,),
        url=file_url(url) if isinstance(url, str) else None,
        sha256=digest.lower() if isinstance(digest, str) else None,
    )


def file_url(url: str) -> str:
    """The address of the file itself, where people copied that of the page about it."""
    plain = url.removesuffix("?download=true")
    parts = web_parts(plain)
    if parts is not None and parts.netloc == "huggingface.co":
        return plain.replace("/blob/", "/resolve/", 1)
    return plain


def web_parts(url: str) -> SplitResult | None:
    """An address in its parts; None for what is none (`http://[`): anybody writes documents."""
    try:
        return urlsplit(url)
    except ValueError:
        return None
