"""The nodes whose graphs may be answered from the cache, held against the real ComfyUI."""

from __future__ import annotations

from pathlib import Path

PROBES = Path(__file__).with_name("steady_probes.py")


def test_nodes_that_count_as_steady_are(comfyui) -> None:
    """Each is a stock node of the pinned ComfyUI that never says that it changed by itself, and
    reads model files only where its file is part of the key."""
    assert comfyui.call(PROBES, "nodes") == {}


def test_a_replaced_model_is_noticed(comfyui) -> None:
    """A file under the same name that is another one makes the executor forget, once."""
    assert comfyui.call(PROBES, "replaced") == [False, False, True, False, False]
