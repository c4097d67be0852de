"""The mixer: tracks summed on a stereo bus, and music that steps back for a voice.

Knows: which operations and nodes the plugin gives.
Does not know: the arithmetic (``mixing``, ``ducking``, ``dsp``), nor who calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from backend.plugins import NodeShape, Operation, hookimpl

name: Final = "mixer"
summary: Final = "Mixes tracks to a stereo bus and ducks music under a voice."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give ``mixer.mix`` and ``mixer.duck``."""
    from . import operations

    return [operations.mix, operations.duck]


@hookimpl
def register_nodes() -> Sequence[NodeShape]:
    """Give the nodes under their older names."""
    from . import nodes

    return [nodes.SIDECHAIN, nodes.MIXER, nodes.MIXER_8]


@hookimpl
def register_web_assets() -> Path:
    """Give the console of the mixers' nodes, for the graph editor."""
    return Path(__file__).parent / "web"
