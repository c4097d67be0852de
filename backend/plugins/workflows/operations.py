"""The operations over ComfyUI graphs.

Knows: their parameters and what comes out, by kind.
Does not know: ComfyUI; the bricks run the graph, and are imported inside the run.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from annotated_types import MaxLen

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.file import File
from backend.media.image import Image, Mask
from backend.media.midi import Midi
from backend.media.video import Video
from backend.plugins import LOCAL, Context, InvalidParameters, Needs, operation, scratch_folder

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
    """Everything else: animations, latents, 3D models."""
    text: list[str]
    nodes: dict[str, list[str]]
    """Node id → names of its outputs (``images_1``, ``audio_2`` …)."""
    names: dict[str, str]
    """Output name → the name that ``KinoSaveAsset`` gave it."""
    warnings: list[str]
    """Inputs that were filled in with their defaults, and branches that gave nothing."""
    videos: list[Video]
    """Videos: the file that was saved, byte for byte, or one made of the frames."""


# Pure as far as its graph is (``purity``): with fixed seeds ComfyUI's own nodes are deterministic,
# but a graph may hold any node pack's nodes, and nothing tells which of those are.
@operation(
    "workflows.run",
    needs=Needs(runs_on="comfy", comfyui=True, memory_gib=2.0),
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
        videos=result.of("video"),
    )


@operation("workflows.note", needs=Needs(memory_gib=0.05))
def note(text: Annotated[str, MaxLen(1_000_000)]) -> str:
    """Give back a text as it is.

    As a node it is a note that is kept in the graph; where its output is linked, it feeds a text.
    """
    return text


class ConvertedGraph(NamedTuple):
    """What `workflows.convert` gives."""

    graph: dict[str, Any]
    """The graph in the API format, as `workflows.run` takes it."""
    missing: dict[str, list[str]]
    """Node types that are not installed → the ids of their nodes."""
    warnings: list[str]
    """Where the editor would have drawn a value by chance."""


# not pure: it depends on which nodes are installed
@operation(
    "workflows.convert",
    needs=Needs(runs_on="comfy", comfyui=True, memory_gib=0.5),
    pure=False,
    timeout_s=120.0,
)
def convert(workflow: dict[str, Any]) -> ConvertedGraph:
    """Convert a workflow as the graph editor saves it to the API format.

    Subgraphs are unfolded, reroutes and primitives resolved, notes and muted nodes left out, and
    nodes that are bypassed are passed by, as the editor does before it queues a workflow. One in
    the API format already comes back as it is. Where a prompt offers choices (``{day|night}``),
    the first is taken.
    """
    from backend.bricks import engine

    from .conversion import converting, document
    from .graph import form_errors

    if not document.is_document(workflow):
        errors = form_errors(workflow, "workflow")
        if errors:
            told = "This is neither an editor's workflow, with a list of nodes, nor a graph"
            raise InvalidParameters(f"{told}: {errors[0].message}", errors=errors)
        return ConvertedGraph(workflow, {}, [])
    converted = converting.convert(workflow, engine.current().definitions())
    return ConvertedGraph(converted.graph, converted.missing, converted.warnings)


class DescribedWorkflow(NamedTuple):
    """What `workflows.describe` gives."""

    graph: dict[str, Any]
    """The template, in the API format, with ``KinoLoadAsset`` where files were loaded."""
    parameters: list[dict[str, Any]]
    """What a run may set: name, type, range, default, and the places where the value goes."""
    format: str
    """What was given: ``editor`` or ``api``."""
    warnings: list[str]


# not pure: it depends on which nodes are installed
@operation(
    "workflows.describe",
    needs=Needs(runs_on="comfy", comfyui=True, memory_gib=0.5),
    pure=False,
    timeout_s=120.0,
)
def describe(workflow: dict[str, Any], bypass_missing: bool = False) -> DescribedWorkflow:
    """Find the parameters of a workflow, in the editor's format or in the API format.

    Prompts are told apart by following the links of the samplers; settings, size and files to load
    are found by what nodes call them; every other value is a parameter too. Types, ranges and
    choices are those of the node classes. Storing a workflow runs this.

    Node types that are not installed are listed and refused; with *bypass_missing* such nodes are
    passed by, as bypassed ones are, with a warning for each.
    """
    from backend.bricks import engine

    from .describing import describe as described

    definitions = engine.current().definitions()
    return DescribedWorkflow(*described(workflow, definitions, bypass_missing=bypass_missing))
