"""The plugin API: everything a plugin may import from Kino, besides ``backend.bricks``.

Knows: the names of the built-in plugins (modules, loaded like any other plugin).
Does not know: what is in them.
"""

from __future__ import annotations

from typing import Final

from backend.context import LOCAL, Cancelled, Context, models_folder, scratch_folder
from backend.errors import (
    AssetRejected,
    FieldError,
    InvalidParameters,
    KinoError,
    OperationFailed,
    OperationUnavailable,
    OutOfMemory,
    UnknownName,
    UpstreamFailed,
    did_you_mean,
    json_pointer,
    refused,
)
from backend.hookspecs import Host, ModelFile, NodeInput, NodeShape, hookimpl
from backend.operations import Model, Needs, Operation, Unavailable, operation

__all__ = [
    "LOCAL",
    "AssetRejected",
    "Cancelled",
    "Context",
    "FieldError",
    "Host",
    "InvalidParameters",
    "KinoError",
    "Model",
    "ModelFile",
    "Needs",
    "NodeInput",
    "NodeShape",
    "Operation",
    "OperationFailed",
    "OperationUnavailable",
    "OutOfMemory",
    "Unavailable",
    "UnknownName",
    "UpstreamFailed",
    "did_you_mean",
    "hookimpl",
    "json_pointer",
    "models_folder",
    "operation",
    "refused",
    "scratch_folder",
]

BUILT_IN: Final = (
    "backend.plugins.files",
    "backend.plugins.mixer",
    "backend.plugins.reactive",
    "backend.plugins.sdxl",
    "backend.plugins.spectral",
    "backend.plugins.stems",
    "backend.plugins.workflows",
)
