"""What ComfyUI's graph editor loads besides its own: Kino's elements, and what plugins show.

Knows: where the editor's extensions are registered.
Does not know: what they show (``backend/studio``, and the web folders of plugins).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from backend.bricks._comfy import module

STUDIO: Final = Path(__file__).resolve().parent.parent / "studio"
"""The elements that the graph editor shares with other pages."""

ELEMENTS: Final = "kino"
"""The name that `STUDIO` is served under, which extensions import from: ``../kino/…``."""


def add(web_folders: Mapping[str, Path]) -> None:
    """Let the editor load the elements and every plugin's folder, as ``kino-<plugin>``.

    To be called before ComfyUI's server adds its routes.
    """
    extensions: dict[str, str] = module("nodes").EXTENSION_WEB_DIRS
    extensions[ELEMENTS] = str(STUDIO)
    for plugin, folder in web_folders.items():
        extensions[f"{ELEMENTS}-{plugin}"] = str(folder)
