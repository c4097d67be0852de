"""A running service for tests and benchmarks: the real `kino serve`, in a process of its own.

Knows: how to start it on a free port, wait for it with a deadline, speak HTTP to it, and end it.
Does not know: what is tested.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import psutil

from backend.config import inherited_environment

LISTENS: Final = "Kino listens on "
START_S: Final = 120.0
STOP_S: Final = 180.0
PATIENCE_S: Final = 300.0
"""Waits here only guard against a hang: a machine may be starved, or stand still for seconds."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def until(what: str, ask: Callable[[], T | None], *, seconds: float, every: float = 0.05) -> T:
    """Ask until the answer is neither None nor False; return it.

    Raises ``TimeoutError`` naming *what* after *seconds*.
    """
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)


@dataclass(slots=True)
class Service:
    """One running service. ``data_dir`` and ``log`` (its stderr) outlive it."""

    url: str
    pid: int
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, folder: Path, **settings: object) -> Service:
        """Start a service whose files lie in *folder*; return as soon as it listens.

        *settings* are written as in the environment without ``KINO_``: ``workers=["cpu"]``,
        ``limits__json_bytes=4096``. Port, data folder and log format are set already, and each
        call is worked for: a test of what equal work gets says ``cache=True``. A worker has long to
        obey a cancel; a test of one that does not says ``limits__cancel_grace_s``.
        Raises ``RuntimeError`` with the end of its log if it ends instead.
        """
        folder.mkdir(parents=True, exist_ok=True)
        data_dir, log, out = folder / "data", folder / "stderr.log", folder / "stdout.log"
        own = {"port": 0, "data_dir": data_dir, "log_format": "json", "cache": False}
        own["limits__cancel_grace_s"] = 60.0
        given = {**own, **settings}
        with log.open("ab") as stderr, out.open("wb") as stdout:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "backend", "serve"],
                env=environment(given),
                cwd=folder,  # so that no .env or kino.toml of the developer is read
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )

        def where() -> str | None:
            if process.poll() is not None:
                raise RuntimeError(f"the service ended with {process.returncode}: {_tail(log)}")
            text = out.read_text()
            if LISTENS not in text or not text.endswith("\n"):
                return None
            return text.partition(LISTENS)[2].split()[0]

        try:
            url = until("the service listens", where, seconds=START_S, every=0.02)
        except BaseException:
            process.kill()
            process.wait()
            raise
        chosen = Path(str(given["data_dir"]))
        return cls(url, process.pid, chosen, log, process)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = PATIENCE_S,
    ) -> Answer:
        """One request on a connection of its own. Bytes are sent as they are, else as JSON."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=seconds)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=sent)
            got = connection.getresponse()
            names = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, names, got.read())

    def get(self, path: str) -> Any:
        """The JSON behind *path*. Raises ``RuntimeError`` for anything but 200."""
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.body[:500]!r}")
        return answer.json()

    def upload(self, content: bytes, file_name: str) -> Any:
        """Store a file; return the asset's JSON."""
        answer = self.ask("POST", f"/v1/assets?file_name={file_name}", content)
        if answer.status != 201:
            raise RuntimeError(f"upload: {answer.status} {answer.body[:500]!r}")
        return answer.json()

    def run(self, operation: str, params: Mapping[str, Any], *, seconds: float = PATIENCE_S) -> Any:
        """Run an operation to its end; return the job's JSON, whatever its state."""
        path = f"/v1/operations/{operation}?wait={seconds}"
        answer = self.ask("POST", path, dict(params), seconds=seconds + 60)
        said = answer.json()
        if answer.status == 200:
            return said
        if "job" in said:  # it failed, and the answer was its problem
            return self.get(f"/v1/jobs/{said['job']}")
        raise RuntimeError(f"{operation}: {answer.status} {answer.body[:1000]!r}")

    def wait_ready(self, *kinds: str, seconds: float = PATIENCE_S) -> Any:
        """Wait until every worker (or those of *kinds*) is ready; return /readyz."""

        def ready() -> Any:
            said = self.ask("GET", "/readyz").json()
            workers = [w for w in said["workers"] if not kinds or w["kind"] in kinds]
            return said if workers and all(w["state"] == "ready" for w in workers) else None

        return until("the workers are ready", ready, seconds=seconds)

    def stop(self, seconds: float = STOP_S) -> int | None:
        """End it as a supervisor does; return its exit status. Killed if it takes too long."""
        if self.process is None:
            end_by_id(self.pid, seconds)
            return None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it without a word, as a power cut would; its workers die with it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_S)


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Our own environment, without anything of ``KINO_*`` but *settings*."""
    written = {
        f"KINO_{name.upper()}": value
        if isinstance(value, str)
        else str(value)
        if isinstance(value, Path)
        else json.dumps(value)
        for name, value in settings.items()
    }
    return inherited_environment() | written


def end_by_id(pid: int, seconds: float = STOP_S) -> None:
    """End a service that another process started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if "backend" not in process.cmdline():
            return  # the number belongs to somebody else by now
        process.terminate()
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
