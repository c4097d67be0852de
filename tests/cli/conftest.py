"""The real `kino` command in a process of its own, and services for it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.testing.service import Service, environment

PLUGINS = Path(__file__).with_name("plugins")
DEADLINE_S = 300.0


@dataclass(frozen=True)
class Ended:
    """What a command said before it ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Kino:
    """The console script, run in *folder* against the service at *url*."""

    folder: Path
    url: str

    def start(
        self, *words: object, stderr: int = subprocess.PIPE, **settings: Any
    ) -> subprocess.Popen[str]:
        """Start it and return at once; the caller ends it."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("kino")), *map(str, words)],
            env=environment({"url": self.url, **settings}),
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
        )

    def __call__(self, *words: object, stdin: str = "", **settings: Any) -> Ended:
        """Run it to its end; killed if that takes too long."""
        with self.start(*words, **settings) as process:
            try:
                out, err = process.communicate(stdin, timeout=DEADLINE_S)
            except BaseException:
                process.kill()
                raise
        return Ended(process.returncode, out, err)

    def ok(self, *words: object, **more: Any) -> Ended:
        """The same, for a command that must succeed."""
        ended = self(*words, **more)
        assert ended.status == 0, ended
        return ended


def tone(frequency: float, seconds: float = 0.5, rate: int = 8000) -> bytes:
    """A mono WAV file with a sine."""
    samples = 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return memory.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two sounds in it, in which commands are run."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "music.wav").write_bytes(tone(440))
    (here / "voice.wav").write_bytes(tone(900))
    return here


@pytest.fixture
def kino(cpu_service: Service, folder: Path) -> Kino:
    """The command against the shared service with the built-in plugins."""
    return Kino(folder, cpu_service.url)


@pytest.fixture(scope="module")
def errands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the plugin of this folder, for all tests of one file."""
    folder = tmp_path_factory.mktemp("errands")
    service = Service.start(folder, workers=["cpu"], plugins_dir=PLUGINS)
    try:
        service.wait_ready()
        yield service
    finally:
        service.kill()


@pytest.fixture
def errand(errands: Service, folder: Path) -> Kino:
    """The command against the service with this folder's plugin."""
    return Kino(folder, errands.url)


@pytest.fixture
def kino_at(folder: Path) -> Callable[[str], Kino]:
    """The command against any address."""
    return lambda url: Kino(folder, url)
