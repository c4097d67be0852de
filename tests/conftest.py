"""Fixtures that every test may use: running services, shared where a test only reads.

Knows: one shared service of each sort for the whole run, also across xdist's processes.
Does not know: what a test does with it. A test that kills, fills or configures launches its own.
"""

from __future__ import annotations

import array
import contextlib
import io
import itertools
import json
import math
import shutil
import signal
import tempfile
import wave
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from backend.bricks import identity
from backend.config import ROOT
from backend.testing.service import Service, end_by_id

SHARED = pytest.StashKey[Path]()
STARTED = pytest.StashKey[list[Service]]()
DIGEST = pytest.StashKey[str]()
TREE = ROOT / "backend" / "ComfyUI"


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of the shared services; xdist's workers are told by the controller.

    What a shell runs in the background ignores Ctrl-C, and so does all that it starts: not so here,
    as some tests send it.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    given = getattr(config, "workerinput", {}).get("kino_shared")
    config.stash[SHARED] = Path(given or tempfile.mkdtemp(prefix="kino-tests-"))
    config.stash[STARTED] = []


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["kino_shared"] = str(node.config.stash[SHARED])


def pytest_unconfigure(config: pytest.Config) -> None:
    """The controller ends what any process of the run has started."""
    if hasattr(config, "workerinput") or SHARED not in config.stash:
        return
    folder = config.stash[SHARED]
    for note in folder.glob("*.json"):
        end_by_id(json.loads(note.read_text())["pid"])
    shutil.rmtree(folder, ignore_errors=True)


def pytest_sessionstart(session: pytest.Session) -> None:
    """The controller remembers ComfyUI's tree as it was before the first test."""
    if not hasattr(session.config, "workerinput") and TREE.is_dir():
        session.config.stash[DIGEST] = identity.tree_sha1(TREE)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The run fails if any test, or what it started, has written into ComfyUI's tree."""
    before = session.config.stash.get(DIGEST, None)
    if before is not None and identity.tree_sha1(TREE) != before:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:
    before = config.stash.get(DIGEST, None)
    if before is not None and identity.tree_sha1(TREE) != before:
        terminalreporter.write_line(f"{TREE} was written to while the tests ran", red=True)


def _shared(config: pytest.Config, name: str, **settings: object) -> Service:
    """The run's one service called *name*: started by whoever comes first."""
    folder = config.stash[SHARED]
    note = folder / f"{name}.json"
    with FileLock(folder / f"{name}.lock", timeout=600):
        if not note.exists():
            made = Service.start(folder / name, **settings)
            config.stash[STARTED].append(made)  # held until the end, or Python would warn
            # told only now, and whole: others read it under the same lock
            note.write_text(json.dumps({"url": made.url, "pid": made.pid}))
        known = json.loads(note.read_text())
    service = folder / name
    return Service(known["url"], known["pid"], service / "data", service / "stderr.log")


@pytest.fixture(scope="session")
def service(request: pytest.FixtureRequest) -> Service:
    """The shared service with both workers and the real ComfyUI, ready. Only for reading tests."""
    shared = _shared(request.config, "service", workers=["cpu", "comfy"])
    shared.wait_ready()
    return shared


@pytest.fixture(scope="session")
def cpu_service(request: pytest.FixtureRequest) -> Service:
    """The shared service with the cpu worker alone, ready. Only for reading tests."""
    shared = _shared(request.config, "cpu_service", workers=["cpu"])
    shared.wait_ready()
    return shared


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services of the test's own: ``launch(workers=["cpu"], …)``; killed at the end."""
    started: list[Service] = []
    numbers = itertools.count(1)

    def start(*, folder: Path | None = None, **settings: object) -> Service:
        settings.setdefault("workers", ["cpu"])
        made = Service.start(folder or tmp_path / f"service-{next(numbers)}", **settings)
        started.append(made)
        return made

    yield start
    with contextlib.ExitStack() as ends:
        for each in started:
            ends.callback(each.kill)


SLOW_PACK = """
import time
from pathlib import Path

go = Path(__file__).with_name("go")
while not go.exists():
    time.sleep(0.01)
NODE_CLASS_MAPPINGS = {}
"""


@pytest.fixture(scope="session")
def slow_to_load() -> Callable[[Path], dict[str, object]]:
    """``**slow_to_load(folder)``: settings with which ComfyUI is not loaded before there is the
    file ``slow/go`` in *folder* (or a minute and a half has gone)."""

    def settings(folder: Path) -> dict[str, object]:
        packs = folder / "slow"
        packs.mkdir()
        (packs / "slow.py").write_text(SLOW_PACK)
        return {
            "comfyui__custom_nodes_dir": packs,
            "comfyui__custom_nodes": ["slow.py"],
            "comfyui__custom_nodes_s": 90,
        }

    return settings


def wav(seconds: float = 0.1, hz: float = 440.0, rate: int = 8000) -> bytes:
    """A 16-bit mono WAV file with a tone."""
    frames = int(seconds * rate)
    tone = [int(12_000 * math.sin(2 * math.pi * hz * n / rate)) for n in range(frames)]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(array.array("h", tone).tobytes())
    return out.getvalue()


@pytest.fixture(scope="session")
def make_wav() -> Callable[..., bytes]:
    return wav


def film(
    path: Path,
    *,
    frames: int = 20,
    rate: Fraction | int = 25,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    turned: int = 0,
    times: Sequence[int] | None = None,
    sound: str | None = None,
    click: int = 10,
    sample_rate: int = 48_000,
) -> Path:
    """A video by PyAV: frame n is grey with the value 8 n, its upper left quarter red.

    *times* are time stamps in milliseconds instead of an even rate; *turned* is a rotation in
    degrees beside the pictures. *sound* is a codec: silence, with a click when frame *click* comes.
    """
    import av

    options = {"libx264": {"crf": "8"}, "libvpx-vp9": {"crf": "10"}}.get(codec, {})
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        pictures: Any = container.add_stream(codec, rate=rate, options=options)
        pictures.width, pictures.height = size
        pictures.pix_fmt = pixels
        if times is not None:
            pictures.codec_context.time_base = Fraction(1, 1000)
        if turned:
            pictures.set_display_rotation(turned)
        heard: Any = None
        if sound is not None:
            heard = container.add_stream(sound, rate=sample_rate, layout="mono")
        for number in range(frames):
            grid = np.full((size[1], size[0], 3), 8 * number % 256, np.uint8)
            grid[: size[1] // 2, : size[0] // 2] = (255, 0, 0)
            picture = av.VideoFrame.from_ndarray(grid)
            picture.pts = number if times is None else times[number]
            picture.time_base = Fraction(1, 1000) if times is not None else 1 / Fraction(rate)
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        if heard is not None:
            samples = np.zeros((1, round(frames / Fraction(rate) * sample_rate)), np.float32)
            samples[0, round(click / Fraction(rate) * sample_rate)] = 0.9
            part = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
            part.sample_rate, part.pts = sample_rate, 0
            container.mux(heard.encode(part))
            container.mux(heard.encode(None))
    return path


@pytest.fixture(scope="session")
def make_film() -> Callable[..., Path]:
    return film


@pytest.fixture(scope="session")
def tone(cpu_service: Service) -> Any:
    """A short tone in the shared service; its asset's JSON."""
    return cpu_service.upload(wav(), "tone.wav")
