"""Stands in for ComfyUI's ``main.py`` where its tests start it: ``kino serve`` at the same port.

Knows: the flags that the tests use.
Does not know: the tests. Whoever connects before Kino is ready waits until it is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from subprocess import Popen

from backend.testing.service import environment, until
from backend.worker.parent import die_with


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(folder: Path, stock_port: int, custom_nodes: Path, flags: list[str]) -> tuple[str, int]:
    """Start Kino with a fresh data folder; it ends with this process. Its URL and its id."""
    port, parent = free_port(), os.getpid()
    settings = {
        "port": port,
        "data_dir": folder,
        "log_level": "warning",
        "workers": ["comfy"],
        "comfyui__port": stock_port,
        "comfyui__custom_nodes_dir": custom_nodes,
        "comfyui__custom_nodes": [pack.name for pack in custom_nodes.iterdir() if pack.is_dir()],
        "comfyui__flags": flags,
    }
    # the tests' own path leads into ComfyUI's tree
    given = {name: value for name, value in environment(settings).items() if name != "PYTHONPATH"}
    command = [sys.executable, "-P", "-m", "backend", "serve"]
    child = Popen(command, env=given, preexec_fn=lambda: die_with(parent))  # noqa: PLW1509 - one thread
    return f"http://127.0.0.1:{port}", child.pid


def wait_ready(url: str) -> None:
    """Return when every worker is ready. Raises ``TimeoutError``."""

    def ready() -> bool:
        try:
            with urllib.request.urlopen(url + "/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    until("Kino is ready", ready, seconds=180, every=0.2)


async def forward(url: str, port: int, stock_port: int) -> None:
    """Pass connections on, as soon as there is somebody."""
    ready = asyncio.Event()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(1 << 16):
                writer.write(part)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ready.wait()
        further, back = await asyncio.open_connection("127.0.0.1", stock_port)
        await asyncio.gather(copy(reader, back), copy(further, writer))

    async with await asyncio.start_server(accept, "127.0.0.1", port):
        await asyncio.to_thread(wait_ready, url)
        ready.set()
        await asyncio.Event().wait()


def main() -> None:
    """Read ComfyUI's flags, start Kino, forward until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--listen")
    parser.add_argument("--output-directory")
    parser.add_argument("--extra-model-paths-config", type=Path, required=True)
    known, flags = parser.parse_known_args()
    flags += ["--output-directory", str(Path(known.output_directory).absolute())]
    custom_nodes = known.extra_model_paths_config.absolute().parent / "testing_nodes"
    with tempfile.TemporaryDirectory(prefix="kino-") as folder:
        stock_port = free_port()
        url, _ = start(Path(folder), stock_port, custom_nodes, flags)
        asyncio.run(forward(url, known.port, stock_port))


if __name__ == "__main__":
    main()
