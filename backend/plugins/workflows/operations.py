"""The operation that runs a ComfyUI graph.

Knows: its parameters and what comes out, by kind.
Does not know: ComfyUI; the bricks run the graph, and are imported inside the run.
"""

from __future__ import annotations

from typing import NamedTuple

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.file import File
from backend.media.image import Image, Mask
from backend.media.midi import Midi
from backend.plugins import LOCAL, Context, Needs, operation, scratch_folder

from .graph import Graph


class WorkflowResult(NamedTuple):
    """What `workflows.run` gives: lists by kind, and who gave what."""

    images: list[Image]
    """Saved and previewed pictures. A PNG of the graph is kept byte for byte, workflow included."""
    masks: list[Mask]
    audio: list[Audio]
    """Sounds: exact from ``KinoSaveAsset``, decoded from what the stock nodes saved."""
    midi: list[Midi]
    automation: list[Automation]
    files: list[File]
    """Everything else: videos, animations, latents, 3D models."""
    text: list[str]
    nodes: dict[str, list[str]]
    """Node id → names of its outputs (``images_1``, ``audio_2`` …)."""
    names: dict[str, str]
    """Output name → the name that ``KinoSaveAsset`` gave it."""
    warnings: list[str]
    """Inputs that were filled in with their defaults, and branches that gave nothing."""


# Not pure: with fixed seeds ComfyUI's own nodes are deterministic, but a graph may hold any node
# pack's nodes, which may look at a clock, a file or a random number, and nothing tells which do.
@operation(
    "workflows.run",
    needs=Needs(runs_on="comfy", comfyui=True, memory_gib=2.0),
    pure=False,
    timeout_s=3600.0,
)
def run(graph: Graph, *, ctx: Context = LOCAL) -> WorkflowResult:
    """Run a ComfyUI graph and keep everything that it gives.

    *graph* is ComfyUI's API format (menu Workflow, Export (API)): an object of nodes by their id,
    each ``{"class_type": …, "inputs": {…}}``. Assets come in through ``KinoLoadAsset`` nodes, whose
    input ``asset`` is a reference, and leave exactly through ``KinoSaveAsset``; what stock nodes
    save or show is kept as well. Required inputs that are missing get their defaults.
    """
    from backend.bricks import engine

    result = engine.current().run(
        graph.nodes, assets=graph.assets, ctx=ctx, folder=scratch_folder()
    )
    return WorkflowResult(
        images=result.of("image"),
        masks=result.of("mask"),
        audio=result.of("audio"),
        midi=result.of("midi"),
        automation=result.of("automation"),
        files=result.of("file"),
        text=result.of("text"),
        nodes=result.by_node(),
        names=result.given_names(),
        warnings=list(result.warnings),
    )
