"""Model files in the old format, which may hold code: what a graph is told of those that do.

Knows: how such a file begins, what torch's ``weights_only`` takes, and how ComfyUI's own loaders
fail at a file.
Does not know: how a graph is run. Kino's own verbs take no such file at all (`bricks.folders`).

ComfyUI's own nodes read old files with ``weights_only``: tensors, and nothing that is code. A file
that holds more cannot be loaded, which is said before the graph runs where the file shows it, else
when the node has failed. Nodes of custom-node packs read files in their own way and are not asked.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from backend.bricks import checks, node_inputs
from backend.bricks._comfy import module
from backend.bricks.engine import Graph
from backend.errors import FieldError, InvalidParameters
from backend.media.weights import PICKLES

_OF_TORCH: Final = tuple(
    b"\x80%c\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." % protocol for protocol in (2, 3)
)
"""How files begin that torch wrote before 1.6: ``MAGIC_NUMBER`` of its ``serialization.py``,
pickled. A later protocol of pickles is none that ``weights_only`` reads."""

_READING: Final = ("load_torch_file", "torch/serialization.py")
"""What stands in the traceback of a loader that failed at its file."""

RULE: Final = "pickle"
_REMEDY: Final = "convert it to safetensors"


def unreadable(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Node, input, and a sentence, for every file that a node of ComfyUI's own cannot read."""
    for node_id, name, value in _named(graph):
        told = [_refusal(path) for path in _paths(value)]
        # of files of this name in several folders, the loader's own may be a good one
        if told and all(told):
            yield node_id, name, _sentence(graph, node_id, name, value, str(told[0]))


def refusals(graph: Graph) -> list[FieldError]:
    """The same as errors of the graph."""
    return [_error(*each) for each in unreadable(graph)]


def unread(graph: Graph, node_id: str, failed: Mapping[str, Any]) -> InvalidParameters | None:
    """What is wrong with the file that a node *failed* to read, as ``execution_error`` tells; None
    if it failed of something else."""
    trace = "".join(str(line) for line in failed.get("traceback") or ())
    if not all(part in trace.replace("\\", "/") for part in _READING):
        return None
    why = "is damaged, or holds what is no tensor, and cannot be loaded"
    found = [
        _error(node_id, name, _sentence(graph, node_id, name, value, why))
        for each, name, value in _named(graph)
        if each == node_id
    ]
    if not found:
        return None
    return InvalidParameters(f"The graph breaks a rule: {found[0].message}", errors=found)


def _sentence(graph: Graph, node_id: str, name: str, value: str, why: str) -> str:
    return f"{checks.label(graph, node_id)}, input {name}: {value!r} {why}; {_REMEDY}"


def _error(node_id: str, name: str, sentence: str) -> FieldError:
    return FieldError(checks.pointer(node_id, "inputs", name), RULE, sentence)


def _named(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Node, input and value, where a node of ComfyUI's own names a file of the old format."""
    for node_id, node in graph.items():
        for name, value in node.get("inputs", {}).items():
            if (
                isinstance(value, str)
                and value.lower().endswith(PICKLES)
                and node_inputs.is_own(str(node.get("class_type")))
                and value in node_inputs.choices(node_inputs.specification(node, name))
            ):
                yield node_id, name, value


def _paths(name: str) -> list[Path]:
    folder_paths = module("folder_paths")
    found = [folder_paths.get_full_path(k, name) for k in folder_paths.folder_names_and_paths]
    return [Path(path) for path in found if path is not None]


def _refusal(path: Path) -> str | None:
    try:
        facts = path.stat()
        return _look(path, facts.st_size, facts.st_mtime_ns)
    except OSError:  # it went away, or may not be read: its loader will tell
        return None


@lru_cache(maxsize=1024)
def _look(path: Path, _size: int, _changed_ns: int) -> str | None:
    """Why a file cannot be read as tensors, as far as it shows: the end of a sentence."""
    from torch import serialization

    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begins = file.read(len(_OF_TORCH[0]))
        return None if begins in _OF_TORCH else "is no file of tensors"
    try:
        code = sorted(serialization.get_unsafe_globals_in_checkpoint(path))
    except (ValueError, RuntimeError):  # TorchScript, or damaged: its loader will tell
        return None
    return f"holds code that would run while it is read ({', '.join(code[:3])})" if code else None
