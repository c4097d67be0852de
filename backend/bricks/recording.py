"""Recording: the verbs that are called, written down as a graph of stock nodes.

Knows: which node a verb stands for, and from which node each value came.
Does not know: what the graph is for (it goes into pictures, so that ComfyUI can open them).

Nothing is described twice: the graph is what was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

PLAIN: Final = (str, int, float, bool)


class Recording:
    """What was called so far. ``nodes`` is the graph in ComfyUI's API format; it is ``whole``
    as long as every value came from a node that was recorded."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.whole = True
        self._origins: dict[int, tuple[Any, list[Any]]] = {}
        """By identity; the value is held, so that no other can take its place."""

    def add(self, class_type: str, inputs: Mapping[str, Any], outputs: Sequence[Any]) -> None:
        """A node was called with *inputs* and gave *outputs*."""
        node_id = str(len(self.nodes) + 1)
        written = {
            name: self._written(value) for name, value in inputs.items() if value is not None
        }
        self.nodes[node_id] = {"class_type": class_type, "inputs": written}
        for slot, value in enumerate(outputs):
            if not isinstance(value, PLAIN) and value is not None:
                self._origins[id(value)] = (value, [node_id, slot])

    def _written(self, value: Any) -> Any:
        if isinstance(value, PLAIN):
            return value
        known = self._origins.get(id(value))
        if known is None:
            self.whole = False
            return None
        return known[1]


_recording: Recording | None = None


@contextmanager
def recording() -> Iterator[Recording]:
    """Within this block every verb is recorded."""
    global _recording  # noqa: PLW0603 (one lane, one piece of work)
    before, _recording = _recording, Recording()
    try:
        yield _recording
    finally:
        _recording = before


def record(class_type: str, inputs: Mapping[str, Any], outputs: Sequence[Any]) -> None:
    """Write a call down, if anybody listens."""
    if _recording is not None:
        _recording.add(class_type, inputs, outputs)
