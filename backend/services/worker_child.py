"""One child process from its birth to its burial.

Knows: spawning with a clean environment, the connection to it, its output, and its death.
Does not know: jobs, and that another child may follow (``services.worker_process``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from contextlib import suppress
from typing import Any, Final

import structlog

from backend import wire
from backend.config import Settings, worker_environment
from backend.services.channel import Channel, open_channel
from backend.services.frames import Frames, OnMessage

_LAST_WORDS_S: Final = 1.0
_LONGEST_LINE: Final = 16384
_LEVELS: Final = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}

_log = structlog.get_logger("kino.worker")


class Gone(Exception):
    """The child cannot be spoken with any more."""


class Child:
    """A running worker process. Made by `spawn`; `wait_death` must be awaited once."""

    def __init__(self, name: str, process: Process, channel: Channel) -> None:
        self.pid = process.pid
        self._name = name
        self._process = process
        self._channel = channel
        self._frames: Frames | None = None
        self._output = asyncio.create_task(self._relay(), name=f"output of {name}")

    @classmethod
    async def spawn(cls, kind: str, name: str, settings: Settings) -> Child:
        """Start a process of *kind* and tell it its settings. Raises ``OSError``."""
        channel = open_channel()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-u", "-m", "backend.worker"),
                *(channel.argument, str(os.getpid())),
                stdin=PIPE if channel.stdin else DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=channel.pass_fds,
                env=worker_environment(),
                cwd=settings.data_dir,
                start_new_session=True,
            )
        except OSError:
            channel.close()
            raise
        if process.stdin is not None:
            process.stdin.write(channel.stdin)
            process.stdin.close()
        child = cls(name, process, channel)
        child._init = {"t": "init", "kind": kind, "settings": _settings_for_worker(settings)}
        return child

    _init: wire.Message

    async def wait_death(self, on_message: OnMessage) -> int:
        """Hand over every message until the child is dead; kill what is left of it, and return
        its exit status (negative: the signal that ended it)."""
        exited = asyncio.create_task(self._process.wait())
        talk = asyncio.create_task(self._talk(on_message))
        try:
            await asyncio.wait({talk, exited}, return_when=asyncio.FIRST_COMPLETED)
            if exited.done():  # what it said before it died still counts
                await asyncio.wait({talk}, timeout=_LAST_WORDS_S)
        finally:
            self.kill()
            talk.cancel()
            self._channel.close()
            if self._frames is not None:
                self._frames.close()
            status = await exited
            self._output.cancel()
            await asyncio.gather(talk, self._output, return_exceptions=True)
        return status

    def send(self, message: wire.Message) -> None:
        """Send one frame. Raises `Gone`."""
        if self._frames is None:
            raise Gone
        try:
            self._frames.send(message)
        except ConnectionError as error:
            raise Gone from error

    def kill(self) -> None:
        """End the child and everything that it started, at once."""
        with suppress(ProcessLookupError, PermissionError):  # it is dead already
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self.pid, signal.SIGKILL)

    async def _talk(self, on_message: OnMessage) -> None:
        """Returns at the end of the connection, which is the end of the child."""
        try:
            self._frames = await Frames.over(await self._channel.connect(), on_message)
            self.send(self._init)
        except (OSError, Gone):
            return
        error = await self._frames.closed
        if error is not None:
            _log.error("worker does not keep to the protocol", worker=self._name, error=repr(error))

    async def _relay(self) -> None:
        """What the child and its libraries print, as lines of our log."""
        stream = self._process.stdout
        assert stream is not None
        rest = b""
        while part := await stream.read(65536):
            *lines, rest = (rest + part).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                _log_line(self._name, line)
            if len(rest) > _LONGEST_LINE:
                _log_line(self._name, rest)
                rest = b""
        _log_line(self._name, rest)


def _log_line(worker: str, line: bytes) -> None:
    text = line[:_LONGEST_LINE].decode("utf-8", "replace").strip()
    if not text:
        return
    said = _own_line(text)
    if said is None:
        _log.info("output", worker=worker, line=text)
        return
    level = _LEVELS.get(str(said.pop("level")), logging.INFO)
    event = str(said.pop("event"))
    said.pop("time", None)
    # nested, as a worker must not choose our keys
    _log.log(level, event, worker=worker, **({"said": said} if said else {}))


def _own_line(text: str) -> dict[str, Any] | None:
    """The fields of a line that the worker's own logging wrote."""
    if not text.startswith("{"):
        return None
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and {"event", "level"} <= said.keys() else None


def _settings_for_worker(settings: Settings) -> dict[str, Any]:
    """All settings but the secrets."""
    return {**settings.model_dump(mode="json", exclude={"api_keys"}), "api_keys": []}
