"""Kino as a child process: its settings, its port, when it lives, how it is stopped.

Knows: the command ``kino serve``, ``/healthz``, signals, the log file.
Does not know: how Kino was installed. Standard library only.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

import setup_steps as steps
from setup_steps import ROOT, Stop

LOG_BYTES: Final = 16 * 2**20
"""A longer log is put aside at the next start; one older log is kept."""

LIVE_S: Final = 60.0
STOP_S: Final = 30.0
"""The service drains for 20 s; after this it is killed."""

HURRY_S: Final = 10.0
"""The same after a second Ctrl-C."""

_READ_SETTINGS: Final = """
import json
from backend import config
from pydantic import ValidationError
try:
    s = config.load()
except ValidationError as error:
    first = error.errors()[0]
    name = "KINO_" + "__".join(str(part) for part in first["loc"]).upper()
    print(json.dumps({"problem": f"{name}: {first['msg']}"}))
else:
    print(json.dumps({
        "host": s.host, "port": s.port, "data_dir": str(s.data_dir),
        "models_dir": str(s.models_dir), "comfyui_enabled": s.comfyui.enabled,
        "comfyui_path": str(s.comfyui.path) if s.comfyui.path else None,
        "accept_modified": s.comfyui.accept_modified,
        "packs": str(s.custom_nodes_dir), "pack_names": s.comfyui.custom_nodes,
    }))
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The few settings that starting needs."""

    host: str
    port: int
    data_dir: Path
    models_dir: Path
    comfyui_enabled: bool
    comfyui_path: Path | None
    accept_modified: bool
    packs: Path
    pack_names: list[str]
    environment: dict[str, str]


def read_settings(*, port: int | None, data_dir: Path | None) -> Settings:
    """Ask Kino's own configuration, with the command line on top. Raises `Stop`."""
    environment = steps.clean_environment()
    if port is not None:
        environment["KINO_PORT"] = str(port)
    if data_dir is not None:
        environment["KINO_DATA_DIR"] = str(data_dir.resolve())
    python = steps.environment_tool("python")
    said = steps.run([python, "-c", _READ_SETTINGS], environment=environment)
    if said.returncode != 0:
        raise Stop(
            f"Kino cannot be imported ({steps.last_line(said.stdout)}): "
            "remove .venv/ and run again."
        )
    found = json.loads(said.stdout.splitlines()[-1])
    if "problem" in found:
        raise Stop(f"a setting is wrong, {found['problem']}: mend it in .env or kino.toml.")
    path = found["comfyui_path"]
    return Settings(
        host=found["host"],
        port=found["port"] or free_port(),
        data_dir=Path(found["data_dir"]),
        models_dir=Path(found["models_dir"]),
        comfyui_enabled=found["comfyui_enabled"],
        comfyui_path=Path(path) if path else None,
        accept_modified=found["accept_modified"],
        packs=Path(found["packs"]),
        pack_names=found["pack_names"],
        environment=environment,
    )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def require_free_port(host: str, port: int) -> None:
    """Raise `Stop` if nothing can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        if os.name != "nt":
            # as servers do: a port that was used a moment ago is free
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Stop(_busy(host, port)) from error
            raise Stop(
                f"Kino cannot listen on {host} port {port} ({error.strerror}): choose another "
                "with --port NUMBER or KINO_HOST."
            ) from error


def _busy(host: str, port: int) -> str:
    url = f"http://{host}:{port}"
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
            if answer.status == 200:
                return (
                    f"Kino is running already at {url}: use that one, stop it, or choose another "
                    "port and folder with --port NUMBER --data-dir FOLDER."
                )
    except OSError:
        pass  # not Kino; the sentence below covers it
    return f"port {port} is busy: stop the program that uses it, or choose another with --port."


class Service:
    """``kino serve`` as a child that is stopped when the block is left."""

    def __init__(self, settings: Settings) -> None:
        host = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"
        self.url = (
            f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
        )
        self.log = settings.data_dir / "logs" / "kino.log"
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Service:
        for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            signal.signal(number, _interrupt)
        environment = {**self._settings.environment, "KINO_PORT": str(self._settings.port)}
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_name("kino.log.1"))
        with self.log.open("ab") as log:
            # a session of its own: Ctrl-C reaches us, and we stop the service in good order
            self._child = subprocess.Popen(
                [str(steps.environment_tool("kino")), "serve"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        child = self._started
        if child.poll() is None:
            print("Stopping Kino; running jobs may finish (Ctrl-C again: at once)…", flush=True)
            child.terminate()
            _bury(child)

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        assert self._child is not None, "used outside its block"
        return self._child

    def wait_until_live(self) -> None:
        """Wait for ``/healthz``. Raises `Stop` with the log's last line if it does not come."""
        deadline = time.monotonic() + LIVE_S
        while time.monotonic() < deadline:
            if (status := self._started.poll()) is not None:
                raise Stop(f"Kino ended at once, {_how(status)} ({self._last_words()}).")
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.05)  # not listening yet
        raise Stop(f"Kino did not answer within {LIVE_S:.0f} s ({self._last_words()}).")

    def _last_words(self) -> str:
        text = self.log.read_text("utf-8", errors="replace")
        words = last_words(text[-20_000:])
        return f"{words}; the whole log is {self.log}" if words else f"the log is {self.log}"

    def beside(self, command: Sequence[str | Path]) -> int:
        """Run a program while the service runs; its status. Raises `Stop` if the service ends."""
        words = [str(word) for word in command]
        with subprocess.Popen(words, cwd=ROOT, env=self._settings.environment) as other:
            try:
                while (status := other.poll()) is None:
                    if self._started.poll() is not None:
                        raise Stop(f"Kino ended in the middle of it ({self._last_words()}).")
                    time.sleep(0.1)
            finally:
                if other.poll() is None:
                    other.terminate()
        return status

    def wait(self) -> int:
        """Serve until the child ends by itself. Raises `Stop` if it ends with an error."""
        if (status := self._started.wait()) != 0:
            raise Stop(f"Kino ended, {_how(status)} ({self._last_words()}).")
        return 0


def last_words(log: str) -> str:
    """The newest line that says what went wrong: a sentence or an error, never what was asked."""
    for line in reversed(log.splitlines()):
        try:
            said = json.loads(line)
        except ValueError:
            if line.strip() and not line.startswith("Kino listens"):
                return line.strip()
            continue
        if isinstance(said, dict) and said.get("level") in ("error", "critical"):
            return str(said.get("event", ""))
    return ""


def _how(status: int) -> str:
    """An exit status in words: negative is the signal that ended the process."""
    if status >= 0:
        return f"status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def _bury(child: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a service that was asked to stop; a second Ctrl-C hurries it. It never
    outlives this."""
    patience = STOP_S
    while True:
        try:
            child.wait(patience)
            return
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            patience = HURRY_S
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
