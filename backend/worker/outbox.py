"""The worker's side of the connection.

Knows: frames, and that several threads may send.
Does not know: what the messages mean.
"""

from __future__ import annotations

import os
import socket
import threading

from backend import wire


class Outbox:
    """Sends whole frames; a parent that is gone ends the process, for nobody needs it then."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: wire.Message, binary: bytes = b"") -> None:
        """Send one frame. Raises ``ValueError`` for what JSON cannot hold."""
        frame = wire.pack(message, binary)
        try:
            with self._lock:
                self._connection.sendall(frame)
        except OSError:
            os._exit(1)

    def receive(self) -> tuple[wire.Message, bytes]:
        """Wait for one frame. Raises `wire.WireError` when the parent is gone."""
        return wire.receive_blocking(self._connection)
