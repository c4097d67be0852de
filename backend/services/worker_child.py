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
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from contextlib import suppress
from typing import Any, Final, cast

import structlog

from backend import wire
from backend.config import Settings, worker_environment
from backend.services.channel import Channel, open_channel
from backend.services.extra_model_paths import variables
from backend.services.frames import Frames, OnMessage
from backend.services.model_folders import yaml_file

_LAST_WORDS_S: Final = 1.0
_LONGEST_LINE: Final = 16384
_LEVELS: Final = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}

_log = structlog.get_logger("kino.worker")


class Gone(Exception):
    """The child cannot be spoken with any more."""


class Child:
    """A running worker process. Made by `spawn`; `wait_death` must be awaited once."""

    def __init__(
        self, name: str, process: asyncio.SubprocessTransport, life: _Life, channel: Channel
    ) -> None:
        self.pid = process.get_pid() or 0
        self._name = name
        self._process = process
        self._life = life
        self._channel = channel
        self._frames: Frames | None = None

    @classmethod
    async def spawn(cls, kind: str, name: str, settings: Settings) -> Child:
        """Start a process of *kind* and tell it its settings. Raises ``OSError``."""
        channel = open_channel()
        try:
            process, life = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Life(name),
                *(sys.executable, "-P", "-u", "-m", "backend.worker"),
                *(channel.argument, str(os.getpid())),
                stdin=PIPE if channel.stdin else DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=channel.pass_fds,
                env=worker_environment(variables(yaml_file(settings))),
                cwd=settings.data_dir,
                start_new_session=True,
            )
        except BaseException:  # also if the wait is cancelled
            channel.close()
            raise
        if channel.stdin:
            stdin = cast("asyncio.WriteTransport", process.get_pipe_transport(0))
            stdin.write(channel.stdin)
            stdin.close()
        child = cls(name, process, life, channel)
        child._init = {"t": "init", "kind": kind, "settings": _settings_for_worker(settings)}
        return child

    _init: wire.Message

    async def wait_death(self, on_message: OnMessage) -> int:
        """Hand over every message until the child is dead; kill what is left of it, and return
        its exit status (negative: the signal that ended it)."""
        exited = self._life.exited
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
            try:
                await asyncio.wait({exited})
                # whoever escaped us may hold the output open for ever
                await asyncio.wait({self._life.silent}, timeout=_LAST_WORDS_S)
            finally:  # also if the burial itself is cancelled
                self._process.close()
                self._life.end_line()
            await asyncio.gather(talk, return_exceptions=True)
        return self._process.get_returncode() or 0

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


class _Life(asyncio.SubprocessProtocol):
    """What the system tells of a process: its output, line by line in our log, and its end.

    The end is told apart from the output's: a process that the child started may hold that open.
    """

    def __init__(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.silent: asyncio.Future[None] = loop.create_future()
        self._name = name
        self._rest = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            _log_line(self._name, line)
        if len(self._rest) > _LONGEST_LINE:
            self.end_line()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1 and not self.silent.done():
            self.silent.set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def end_line(self) -> None:
        """Log a line that has no end yet."""
        line, self._rest = self._rest, b""
        _log_line(self._name, line)


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
