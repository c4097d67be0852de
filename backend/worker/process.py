"""The loop of a worker process: a thread that reads, and one lane, the main thread, that works.

Knows: the order of the messages: init, hello, loading …, ready, then one job after another.
Does not know: what a job is (a `Handler` does).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Literal, Protocol

from backend.config import Settings
from backend.errors import OperationFailed
from backend.logs import configure
from backend.wire import Message, WireError
from backend.worker.calls import Calls
from backend.worker.outbox import Outbox


class Handler(Protocol):
    """What one kind of worker does."""

    def start(self) -> Message:
        """Load everything; return the fields of the ``ready`` message."""
        ...

    def handle(self, message: Message) -> Message:
        """Do one job; return the fields of its ``done`` message. Never raises ``Exception``."""
        ...

    def interrupt(self, job_id: str, attempt: int) -> None:
        """Called from the reading thread: this attempt shall end soon."""
        ...

    def told(self, name: str, data: Message) -> None:
        """Called from the reading thread: something that is not answered."""
        ...

    def stop(self) -> None:
        """Called once, at the end."""
        ...


Work = Callable[[], None]
"""Something to do on the lane between two jobs."""


def handler_for(
    kind: str, settings: Settings, outbox: Outbox, calls: Calls, between: Callable[[Work], None]
) -> Handler:
    """The handler of a kind of worker; imports only what this kind needs."""
    if kind == "ingest":
        from backend.worker.ingest import IngestHandler

        return IngestHandler()
    from backend.worker.operations import OperationHandler

    own_kind: Literal["cpu", "comfy"] = "comfy" if kind == "comfy" else "cpu"
    return OperationHandler(own_kind, settings, outbox, calls, between)


class Process:
    """One worker process."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._inbox: SimpleQueue[Message | Work | None] = SimpleQueue()
        self._calls = Calls(outbox)
        self._handler: Handler | None = None

    def serve(self) -> None:
        """Serve the parent until it says ``stop``; if it goes away, end at once."""
        init, _ = self._outbox.receive()
        settings = Settings(**init["settings"])
        configure(settings.log_level, "json")
        self._outbox.send({"t": "hello", "pid": os.getpid()})
        self._handler = handler_for(
            init["kind"], settings, self._outbox, self._calls, self._inbox.put
        )
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        self._outbox.send({"t": "ready", **self._handler.start()})
        while (message := self._inbox.get()) is not None:
            if callable(message):
                message()
            else:
                self._answer(self._handler.handle(message))
        self._handler.stop()

    def _answer(self, done: Message) -> None:
        """Send the answer; one that no frame can hold becomes a failure."""
        try:
            self._outbox.send({"t": "done", **done})
        except ValueError as error:
            about: Message = {key: done[key] for key in ("job", "attempt", "id") if key in done}
            problem = OperationFailed(f"the result cannot be sent: {error}").as_problem()
            failed = {"state": "failed", "problem": problem, "retryable": False}
            self._outbox.send({"t": "done", **about, **failed})

    def _read(self) -> None:
        while True:
            try:
                message, _ = self._outbox.receive()
            except WireError:
                os._exit(1)
            if message["t"] == "cancel":
                if self._handler is not None:
                    self._handler.interrupt(message["job"], message["attempt"])
            elif message["t"] == "answer":
                self._calls.answered(message)
            elif message["t"] == "tell":
                if self._handler is not None:
                    self._handler.told(message["name"], message["data"])
            elif message["t"] == "stop":
                self._inbox.put(None)
            else:
                self._inbox.put(message)
