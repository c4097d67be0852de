"""The audience: ComfyUI's web clients, as the executor and the nodes see them.

Knows: that everything goes through ``PromptServer.send_sync``, and who may be heard when.
Does not know: how a message reaches a client (`bricks.server` has the connections).

A graph of Kino's own runs in the same process as the prompts of stock clients. What its nodes say
would reach every one of them, so it is dropped; a job of Kino has its own progress.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from backend.bricks._comfy import module
from backend.bricks.lane import Lane

Listener = Callable[[Any, Any], None]
"""Gets an event and its data, as ``send_sync`` does."""


class Audience:
    """Stands in for ``send_sync`` of ComfyUI's server object."""

    def __init__(self, server: Any, lane: Lane) -> None:
        self._server = server
        self._lane = lane
        self._send = server.send_sync
        self._thread: int | None = None
        self._listener: Listener | None = None
        server.send_sync = self.send_sync

    def admit(self) -> None:
        """From now on there are clients, served by the calling thread."""
        self._thread = threading.get_ident()

    def send_sync(self, event: Any, data: Any, sid: str | None = None) -> None:
        """What nodes and the executor call, on any thread."""
        if self._listener is not None:
            self._listener(event, data)
        if self._thread is None:
            return
        alone = self._lane.running() is None or self._listener is not None
        # the state of the queue concerns everybody, whatever runs
        if alone or event == "status" or threading.get_ident() == self._thread:
            self._send(event, data, sid)

    @contextmanager
    def prompt(self, listener: Listener) -> Iterator[None]:
        """Within this block a prompt runs on the lane; *listener* hears it too."""
        self._listener = listener
        try:
            yield
        finally:
            self._listener = None

    def progress(self, value: float, total: float, preview: Any, node: str) -> None:
        """What ComfyUI's own progress hook sends besides the registry (``hijack_progress`` in its
        ``main.py``)."""
        server = self._server
        data = {"value": value, "max": total, "prompt_id": server.last_prompt_id, "node": node}
        self.send_sync("progress", data, server.client_id)
        if preview is not None and not _has_metadata(server):
            kinds = module("protocol").BinaryEventTypes
            self.send_sync(kinds.UNENCODED_PREVIEW_IMAGE, preview, server.client_id)


def _has_metadata(server: Any) -> bool:
    """Whether the client takes previews with their metadata, which the registry sends."""
    return bool(
        module("comfy_api.feature_flags").supports_feature(
            server.sockets_metadata, server.client_id, "supports_preview_metadata"
        )
    )
