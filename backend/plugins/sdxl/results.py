"""What the operations give: pictures, and how they came about.

Knows: the fields of a provenance.
Does not know: how a picture is made.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel

from backend.media.image import Image


class UsedModel(BaseModel):
    """A model file that took part: its name, what it was taken for, and 16 hex digits that tell
    it from any other file (SHA-256 over its length and 64 pieces of it)."""

    name: str
    architecture: str
    fingerprint: str


class Provenance(BaseModel):
    """How the pictures came about: the same parameters with the same model give them again."""

    operation: str
    parameters: dict[str, Any]
    inputs: dict[str, str]
    """The pictures that came in, by their pointers: content references."""
    model: UsedModel
    additions: list[UsedModel]
    """LoRAs and ControlNets, in the order in which they were applied."""
    comfyui: str
    graph: dict[str, Any] | None
    """The work as a graph of ComfyUI's own nodes; it lies in the PNG files, too."""
    warnings: list[str]


class Generated(NamedTuple):
    """What an operation of this family gives."""

    images: list[Image]
    """8-bit RGB. ComfyUI opens the PNG files as the graph that made them."""
    provenance: Provenance
