"""The servers that are compared, each as a tree of processes.

Knows: how to start and stop them, and what the whole tree has used (psutil).
Does not know: what is asked of them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

ROOT: Final = Path(__file__).resolve().parent.parent.parent
TREE: Final = ROOT / "backend" / "ComfyUI"
PATIENCE_S: Final = 600.0
MIB: Final = 2**20


class NotMeasured(Exception):
    """A row cannot be measured here; the text says why."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its address and the root of its process tree."""

    name: str
    url: str
    root: psutil.Process
    log: Path

    def processes(self) -> list[psutil.Process]:
        return [self.root, *self.root.children(recursive=True)]

    def cpu_s(self) -> float:
        """User and system seconds of the tree so far, children that ended included."""
        total = 0.0
        for process in self.processes():
            try:
                total += sum(process.cpu_times()[:4])
            except psutil.NoSuchProcess:
                continue  # it ended between the two calls; its parent has its seconds
        return total


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def answers(url: str) -> bool:
    """Whether *url* answers 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextmanager
def started(
    name: str,
    command: Sequence[object],
    folder: Path,
    port: int,
    ready: str,
    environment: dict[str, str] | None = None,
) -> Iterator[Served]:
    """Start *command*, wait until the path *ready* answers 200, and stop the tree at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**clean_environment(), **(environment or {})},
        )
    served = Served(name, f"http://127.0.0.1:{port}", psutil.Process(process.pid), log)
    try:
        wait_until(lambda: answers(served.url + ready), process, log)
        yield served
    finally:
        stop(process)


def wait_until(condition: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise NotMeasured(f"{log.stem} did not start:\n{tail}")
        time.sleep(0.005)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end; after 60 s, end its whole tree."""
    if process.poll() is not None:
        return
    tree = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in tree:
        if child.is_running():
            child.kill()


def clean_environment() -> dict[str, str]:
    """The environment without settings of Kino, so that each server has its defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KINO_")}


def kino_command() -> Path:
    return Path(sys.executable).with_name("kino")


@contextmanager
def kino(folder: Path, *, ready: str = "/readyz", **settings: str) -> Iterator[Served]:
    """Kino with its defaults, its data in *folder*; *settings* are named without ``KINO_``."""
    port = free_port()
    given = {f"KINO_{name}": value for name, value in settings.items()}
    environment = {"KINO_PORT": str(port), "KINO_DATA_DIR": str(folder / "data"), **given}
    command = [kino_command(), "serve"]
    with started("kino", command, folder, port, ready, environment) as served:
        yield served


def copy_tree(folder: Path) -> Path:
    """A copy of the installed ComfyUI, so that nothing can be written into ours."""
    if not (TREE / "main.py").exists():
        raise NotMeasured("backend/ComfyUI is not installed (scripts/comfyui.py install)")
    copy = folder / "tree"
    if not copy.exists():
        shutil.copytree(TREE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def comfyui_flags(folder: Path, *, api_nodes: bool = False) -> list[str]:
    """The flags that every ComfyUI here runs with; Kino's own are the same, but for *api_nodes*:
    nodes in front of hosted services, which only the comparison of conversions needs."""
    base = folder / "base"
    for name in ("models", "input", "output", "temp", "user", "custom_nodes"):
        (base / name).mkdir(parents=True, exist_ok=True)
    database = f"sqlite:///{base / 'user' / 'comfyui.db'}"
    flags = ["--base-directory", str(base), "--database-url", database]
    flags += ["--disable-all-custom-nodes"]
    flags += [] if api_nodes else ["--disable-api-nodes"]
    return flags if gpu_present() else [*flags, "--cpu"]


def gpu_present() -> bool:
    return shutil.which("nvidia-smi") is not None and not subprocess.call(
        ["nvidia-smi", "-L"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@contextmanager
def stock(folder: Path, *, api_nodes: bool = False) -> Iterator[Served]:
    """ComfyUI's own server, from a copy of the same tree."""
    port = free_port()
    tree = copy_tree(folder)
    command = [sys.executable, tree / "main.py", "--listen", "127.0.0.1", "--port", str(port)]
    command += ["--disable-auto-launch", *comfyui_flags(folder, api_nodes=api_nodes)]
    with started("stock", command, folder, port, "/system_stats") as served:
        yield served


@contextmanager
def floor(folder: Path) -> Iterator[Served]:
    """The least there can be: aiohttp in front of a PromptExecutor (``floor.py``)."""
    port = free_port()
    script = Path(__file__).with_name("floor.py")
    command = [sys.executable, "-P", script, copy_tree(folder), str(port), *comfyui_flags(folder)]
    with started("floor", command, folder, port, "/") as served:
        yield served
