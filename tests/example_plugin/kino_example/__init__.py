"""An example plugin: a tremolo.

Knows: which operations and nodes the plugin gives.
Does not know: the arithmetic (``tremolo``), nor who calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.plugins import NodeShape, Operation, hookimpl

summary: Final = "Makes a sound swell and fade."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give ``example.tremolo``."""
    from . import operations

    return [operations.tremolo]


@hookimpl
def register_nodes() -> Sequence[NodeShape]:
    """Give the node ``ExampleTremolo``."""
    from . import nodes

    return [nodes.TREMOLO]
