"""Workflows: any ComfyUI graph as a job.

Knows: which operations the plugin gives.
Does not know: how a graph is run (``backend.bricks``), nor who calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.plugins import Operation, hookimpl

name: Final = "workflows"
summary: Final = "Runs ComfyUI graphs and keeps everything that they give."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give ``workflows.run``."""
    from . import operations

    return [operations.run]
