"""One call of a plugin's hook, in a thread of its own, with a deadline.

Knows: threads and time. Python cannot end a thread: a late one is left behind, as a daemon.
Does not know: what is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from backend.operations import Unavailable
from backend.services.plugin import words

log = structlog.get_logger("kino.plugins")


class HookThread:
    """Starts at once; `wait` says what went wrong, ``result`` what came back."""

    def __init__(self, hook: str, function: Callable[[], Any]) -> None:
        self.result: Any = None
        self._hook = hook
        self._function = function
        self._error: BaseException | None = None
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=hook, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> Unavailable | None:
        """Wait until the call has returned or *seconds* are over since it began."""
        self._thread.join(max(0.0, self._began + seconds - time.monotonic()))
        if self._thread.is_alive():
            log.warning("hook is late", hook=self._hook, seconds=seconds)
            return Unavailable(
                f"{self._hook} did not return within {seconds:g} s",
                "Mend or remove the plugin, then start the service again.",
            )
        if self._error is not None:
            return Unavailable(
                f"{self._hook} raised {words(self._error)}",
                "Mend or remove the plugin; the log holds the traceback.",
            )
        return None

    def _run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:  # foreign code; nobody else would hear of it
            self._error = error
            log.warning("hook raised", hook=self._hook, exc_info=error)
