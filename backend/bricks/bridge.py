"""The bridge nodes: assets into a graph and exact values out of it.

Knows: ``KinoLoadAsset`` and ``KinoSaveAsset``.
Does not know: where assets lie; the running graph holds their values.

Stock loaders read files from a folder that nobody fills, and stock savers quantise sound to 16
bits; these two carry the samples themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from backend.bricks import _compat, checks, graph_run, saved_files, sockets
from backend.bricks._comfy import module
from backend.bricks.engine import Graph, Produced
from backend.bricks.node_classes import register_node
from backend.errors import FieldError, KinoError, OperationFailed, refused
from backend.media.finite import Unfit
from backend.media.image import Image, Mask
from backend.media.reference import MediaValue

CATEGORY: Final = "Kino/assets"
LOAD: Final = "KinoLoadAsset"
SAVE: Final = "KinoSaveAsset"
KINDS: Final = ("audio", "image", "mask", "midi", "automation", "file", "video")
"""In the order of the slots, which graphs count on: a new kind goes to the end."""

_BY_PATH: Final = ("file", "video")
"""Kinds whose sockets carry a path."""
_READ: Final = {"audio": "samples", "image": "pixels", "mask": "values"}
"""Kinds whose sockets carry numbers, and the property by which they are read."""
Inputs = dict[str, dict[str, Any]]


class LoadAsset:
    """Gives the asset on the output of its kind; the other outputs stay closed.

    A picture is also given as a mask (its transparency, or its grey), and a mask as a picture.
    """

    CATEGORY: ClassVar = CATEGORY
    FUNCTION: ClassVar = "load"
    DESCRIPTION: ClassVar = "An asset of Kino, exactly as it was uploaded or made."
    RETURN_TYPES: ClassVar = tuple(sockets.OUTPUT_TYPES[kind] for kind in KINDS)
    RETURN_NAMES: ClassVar = KINDS

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802 (ComfyUI's name)
        told = "A content reference (blake3:…) or an asset id (ast_…)."
        return {"required": {"asset": ("STRING", {"tooltip": told})}}

    @classmethod
    def IS_CHANGED(cls, asset: str) -> str:  # noqa: N802 (ComfyUI's name)
        """What hangs on a path is not taken from the cache once the file lies elsewhere."""
        value = graph_run.current().asset(asset)
        return str(getattr(value, "path", "")) if value.kind in _BY_PATH else ""

    def load(self, asset: str) -> tuple[Any, ...]:
        value = graph_run.current().asset(asset)
        return tuple(_given(kind, value) for kind in KINDS)


def _given(kind: str, value: MediaValue) -> Any:
    if value.kind == kind:
        return sockets.to_socket(value)
    other = _as_other(kind, value)
    if other is not None:
        return sockets.to_socket(other)
    return module("comfy_execution.graph_utils").ExecutionBlocker(_misfit(kind, value))


def _as_other(kind: str, value: MediaValue) -> MediaValue | None:
    """The mask of a picture, or the picture of a mask, where there is one.

    A grey picture and a mask may be the same bytes, hence one reference: either is given.
    """
    if kind == "mask" and isinstance(value, Image):
        if value.channels == 1:
            return Mask.from_array(value.pixels[:, :, 0])
        return sockets.transparency(value)
    if kind == "image" and isinstance(value, Mask):
        return Image.from_array(value.values, bit_depth=16)
    return None


def _misfit(kind: str, value: MediaValue) -> str:
    return f"the asset is of kind {value.kind}, so the output {kind} gives nothing"


def foreign_assets(graph: Graph, assets: Mapping[str, MediaValue]) -> Iterator[FieldError]:
    """Every link to an output that the asset of its ``KinoLoadAsset`` is not of the kind for."""
    for node_id in graph:
        for name, source, slot in checks.links(graph, node_id):
            loader = graph[source]
            value = assets.get(str(loader["inputs"].get("asset")))
            if loader["class_type"] != LOAD or value is None:
                continue
            if value.kind != KINDS[slot] and _as_other(KINDS[slot], value) is None:
                where = checks.pointer(source, "inputs", "asset")
                told = (
                    f"{checks.label(graph, node_id)}, input {name}: {_misfit(KINDS[slot], value)}"
                )
                yield FieldError(where, "asset", told)


class SaveAsset:
    """Hands whatever is linked to it to the job, as assets."""

    CATEGORY: ClassVar = CATEGORY
    FUNCTION: ClassVar = "save"
    DESCRIPTION: ClassVar = (
        "Keeps sound, images, masks, MIDI, automation and video as assets of the job."
    )
    RETURN_TYPES: ClassVar = ()
    OUTPUT_NODE: ClassVar = True

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802 (ComfyUI's name)
        slots: dict[str, Any] = {kind: (sockets.TYPES[kind],) for kind in KINDS if kind != "video"}
        told = "Bits a channel of a saved image."
        slots["bit_depth"] = (["8", "16"], {"default": "8", "tooltip": told})
        slots["video"] = (sockets.TYPES["video"],)
        return {"required": {"name": ("STRING", {"default": "result"})}, "optional": slots}

    @classmethod
    def IS_CHANGED(cls, **_given: Any) -> float:  # noqa: N802 (ComfyUI's name)
        """Never cached: every job has its own results, also where all before it is cached."""
        return float("nan")

    def save(self, name: str, bit_depth: str = "8", **linked: Any) -> dict[str, Any]:
        run = graph_run.current()
        node = _compat.executing_node()
        if node is None:
            raise OperationFailed("this node works inside a graph that Kino runs")
        given = {kind: linked[kind] for kind in KINDS if linked.get(kind) is not None}
        try:
            if not given:
                raise refused(checks.pointer(node), "empty", "nothing is linked to it")
            shown = saved_files.keep(
                run,
                [
                    Produced(node, kind, item, name)
                    for kind, value in given.items()
                    for item in _from_socket(node, kind, value, int(bit_depth))
                ],
            )
        except KinoError as error:
            run.errors[node] = error
            raise
        return {"ui": shown, "result": ()}


def _from_socket(node: str, kind: str, value: Any, bit_depth: int) -> list[Any]:
    """What an input of `SaveAsset` brings. Raises `InvalidParameters` for what is not finite."""
    try:
        if kind == "image":
            values: list[Any] = list(sockets.image_from_socket(value, bit_depth))
        else:
            values = sockets.from_socket(kind, value)
        for item in values:
            if kind in _READ:
                getattr(item, _READ[kind])  # reading it tests it, here where the input is known
    except Unfit as error:
        where = checks.pointer(node, "inputs", kind)
        raise refused(where, error.rule, error.detail) from error
    return values


def register() -> None:
    """Add both nodes to ComfyUI."""
    register_node(LOAD, LoadAsset, "Kino Load Asset")
    register_node(SAVE, SaveAsset, "Kino Save Asset")
