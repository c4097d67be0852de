"""Host calls: what this worker asks of the API process, which holds the ledger.

Knows: the messages ``call`` and ``answer``, and that every wait has a deadline.
Does not know: what is asked (``services.host_calls`` answers by name).
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from backend.errors import DeadlineExceeded, from_problem
from backend.wire import Message
from backend.worker.outbox import Outbox

ANSWER_S: Final = 60.0
"""A guard against a hang, not a measure: a disk that is busy can hold a commit for seconds."""

_ON_THE_WAY_S: Final = 10.0
"""The other side keeps the deadline; this much longer it may take until we hear of it."""


class Calls:
    """Asks and waits. Any thread may call but the one that reads, which brings the answers."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._open: dict[str, tuple[Future[Any], Callable[[Any], None]]] = {}

    def call(
        self,
        name: str,
        data: Message,
        deadline_s: float = ANSWER_S,
        seen: Callable[[Any], None] = lambda value: None,
    ) -> Any:
        """What the API process answers.

        *seen* gets it first, on the thread that reads, hence before any message that was sent
        after it. Raises the error that was answered, and `DeadlineExceeded`.
        """
        number = f"{os.getpid()}-{next(self._numbers)}"
        answer: Future[Any] = Future()
        with self._lock:
            self._open[number] = answer, seen
        try:
            self._outbox.send(
                {"t": "call", "id": number, "name": name, "data": data, "deadline_s": deadline_s}
            )
            return answer.result(deadline_s + _ON_THE_WAY_S)
        except TimeoutError as error:
            raise DeadlineExceeded(f"{name} was not answered within {deadline_s:g} s") from error
        finally:
            with self._lock:
                self._open.pop(number, None)

    def answered(self, message: Message) -> None:
        """Take an ``answer``; one that nobody waits for any more is dropped."""
        with self._lock:
            waiting = self._open.get(message["id"])
        if waiting is None:
            return
        answer, seen = waiting
        if "problem" in message:
            answer.set_exception(from_problem(message["problem"]))
            return
        seen(message["value"])
        answer.set_result(message["value"])
