"""The end of every run: pixels become pictures that say how they were made.

Knows: the provenance, and the PNG text under which ComfyUI looks for a graph.
Does not know: what was done (the recording does).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.bricks import boot, sockets
from backend.bricks.checkpoints import Checkpoint
from backend.bricks.recording import Recording
from backend.media.image import Image, Mask
from backend.media.reference import reference_of

from .results import Generated, Provenance, UsedModel

KEYWORD: Final = "prompt"
"""Under it ComfyUI's own ``SaveImage`` writes the graph, and its editor looks for one."""


def finished(
    operation: str,
    parameters: Mapping[str, Any],
    model: Checkpoint | UsedModel,
    pixels: Any,
    done: Recording,
    warnings: Sequence[str] = (),
    *,
    embed: bool,
    inputs: Mapping[str, Image | Mask],
    additions: Sequence[UsedModel] = (),
) -> Generated:
    """The result of a run whose last picture is *pixels*, IMAGE ``[B, H, W, C]``. *inputs* are the
    pictures that came in, by pointer; one without a file comes out of a graph, and has no name."""
    done.add("SaveImage", {"images": pixels, "filename_prefix": "Kino"}, ())
    graph = done.nodes if done.whole else None
    texts = {KEYWORD: json.dumps(graph)} if embed and graph is not None else None
    images = [
        Image.from_array(each.pixels[:, :, :3], texts=texts).in_file()
        for each in sockets.image_from_socket(pixels)
    ]
    used = UsedModel(
        name=model.name, architecture=model.architecture, fingerprint=model.fingerprint
    )
    provenance = Provenance(
        operation=operation,
        parameters=dict(parameters),
        inputs={pointer: reference_of(each.path) for pointer, each in inputs.items() if each.path},
        model=used,
        additions=list(additions),
        comfyui=boot.info().version,
        graph=graph,
        warnings=list(warnings),
    )
    return Generated(images, provenance)
