"""Automation, keyframes, tempo and key: values over time that follow sound, or lead it.

Knows: which operations and nodes the plugin gives.
Does not know: how they work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.plugins import NodeShape, Operation, hookimpl

name: Final = "reactive"
summary: Final = "Keyframes, tempo and key from sound; oscillators, envelopes and other curves."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give the ``reactive.*`` operations."""
    from . import curve_operations as curves
    from . import operations

    return [
        operations.keyframes,
        operations.analyse,
        operations.tempo,
        operations.key,
        curves.lfo,
        curves.adsr,
        curves.remap,
        curves.combine,
        curves.smooth,
        curves.resample,
        curves.breakpoints,
        curves.from_values,
        curves.text,
        curves.export,
    ]


@hookimpl
def register_nodes() -> Sequence[NodeShape]:
    """Give the nodes under their older names."""
    from . import nodes

    return nodes.SHAPES
