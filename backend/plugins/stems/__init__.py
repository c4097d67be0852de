"""Stems: a mix taken apart into drums, bass, vocals and the rest.

Knows: which operations, nodes and model files the plugin gives.
Does not know: how they work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.plugins import ModelFile, NodeShape, Operation, hookimpl

name: Final = "stems"
summary: Final = "Takes a mix apart into its stems."


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """Give ``stems.separate``."""
    from . import operations

    return [operations.separate]


@hookimpl
def register_nodes() -> Sequence[NodeShape]:
    """Give the node under its older name."""
    from . import nodes

    return [nodes.STEM_SPLITTER]


@hookimpl
def register_models() -> Sequence[ModelFile]:
    """Name the files of the known models."""
    from . import catalogue

    return catalogue.model_files()
