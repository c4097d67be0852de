"""Workflows: any ComfyUI graph as a job.

Knows: which operations the plugin gives.
Does not know: how a graph is run (``backend.bricks``), nor who calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from backend.plugins import NodeShape, Operation, hookimpl

name: Final = "workflows"
summary: Final = "Runs ComfyUI graphs and keeps everything that they give."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give the ``workflows.*`` operations."""
    from . import operations

    return [operations.run, operations.convert, operations.describe, operations.note]


@hookimpl
def register_nodes() -> Sequence[NodeShape]:
    """Give the note under its older name."""
    from . import nodes

    return [nodes.NOTE]


@hookimpl
def register_web_assets() -> Path:
    """Give the note, for the graph editor."""
    return Path(__file__).parent / "web"
