"""Engines for tests, each in a process of its own.

Knows: one ComfyUI for the whole session, booted among hostile packages; one fake engine.
Does not know: what the tests ask of them.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from backend.config import ROOT, worker_environment
from backend.testing import checkpoints, model_parts

HERE = Path(__file__).parent
TREE = ROOT / "backend" / "ComfyUI"
LOCK = ROOT / "backend" / "comfyui.lock"
HOSTILE = ("comfy", "comfy_execution", "utils", "server", "nodes", "execution", "app")


class Failed(Exception):
    """What the engine answered instead of a result: ``class``, ``detail``, ``errors``, extras."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("detail", problem["class"]))
        self.problem = problem
        self.type: str = problem["class"]

    @property
    def rules(self) -> list[tuple[str, str]]:
        return [(each["pointer"], each["rule"]) for each in self.problem.get("errors", [])]


class EngineProcess:
    """The test's side of ``host.py``."""

    def __init__(
        self, folder: Path, *words: str, environment: dict[str, str] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.info: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}
        self.progress: list[tuple[float, float, str | None]] = []
        self._answers: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._early: list[dict[str, Any]] = []
        self._log = (folder / "stderr.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "host.py"), *words],
            cwd=folder,
            env={**worker_environment(), **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._jobs = 0

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(json.loads(line))
        self._answers.put({"closed": True})

    def _send(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def expect(
        self, name: str, seconds: float = 300.0, seen: Callable[[], None] | None = None
    ) -> Any:
        """Wait for an answer called *name*; progress on the way is kept, and told to *seen*.

        A graph may end before the interruption that ended it is answered: what comes too early is
        kept for whoever waits for it.
        """
        deadline = time.monotonic() + seconds
        while True:
            answer = self._next(name, deadline)
            if answer is None:
                raise AssertionError(f"no {name} within {seconds} s\n{self.log()}")
            if "closed" in answer:
                raise AssertionError(f"the engine's process ended\n{self.log()}")
            if "progress" in answer:
                self.progress.append(tuple(answer["progress"]))
                if seen is not None:
                    seen()
            elif "error" in answer and name == "result":
                raise Failed(answer["error"])
            elif name == "interrupted" and name not in answer:
                self._early.append(answer)
            else:
                assert name in answer, answer
                return answer[name]

    def _next(self, name: str, deadline: float) -> dict[str, Any] | None:
        if self._early and name != "interrupted":
            return self._early.pop(0)
        try:
            return self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return None

    def start(
        self,
        graph: dict[str, Any],
        assets: dict[str, tuple[str, Path]] | None = None,
        **more: Any,
    ) -> str:
        """Send a graph; returns its job id."""
        self._jobs += 1
        self.progress = []
        job = f"job_{self._jobs}"
        named = {reference: [kind, str(path)] for reference, (kind, path) in (assets or {}).items()}
        self._send(do="run", job=job, graph=graph, assets=named, folder=str(self.folder), **more)
        return job

    def run(
        self,
        graph: dict[str, Any],
        assets: dict[str, tuple[str, Path]] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Run a graph to its end. Raises `Failed`."""
        self.start(graph, assets, **more)
        result: dict[str, Any] = self.expect("result")
        return result

    def failure(self, graph: dict[str, Any] | None = None, **more: Any) -> Failed:
        """Run a graph (or wait for the one that runs), which must fail, and say how it did."""
        try:
            result = self.expect("result") if graph is None else self.run(graph, **more)
        except Failed as failed:
            return failed
        raise AssertionError(f"this did not fail: {result}")

    def interrupt(self, job: str) -> None:
        self._send(do="interrupt", job=job)

    def call(self, file: Path, name: str) -> Any:
        """Call the function *name* of a file of probes inside the process."""
        self._send(do="call", file=str(file), name=name, folder=str(self.folder))
        return self.expect("result")

    def log(self) -> str:
        return (self.folder / "stderr.log").read_text("utf-8", "replace")[-4000:]

    def stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(60)
        self._reader.join(60)
        self._process.stdout.close()
        self._log.close()


def hostile_packages(folder: Path) -> Path:
    """A folder of packages that bear ComfyUI's names and must never be imported as such."""
    for name in (*HOSTILE, "tests"):
        package = folder / name
        package.mkdir(parents=True)
        package.joinpath("__init__.py").write_text("HOSTILE = True\n")
    folder.joinpath("folder_paths.py").write_text("raise RuntimeError('hostile')\n")
    return folder


@pytest.fixture(scope="session")
def start_engine(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., EngineProcess]]:
    """Starts an engine among hostile packages: its working folder and PYTHONPATH hold them."""
    started: list[EngineProcess] = []

    def start(name: str, *words: str) -> EngineProcess:
        folder = hostile_packages(tmp_path_factory.mktemp(name))
        process = EngineProcess(folder, *words, environment={"PYTHONPATH": str(folder)})
        started.append(process)
        process.info = process.expect("ready", 600.0)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="session")
def comfyui(
    start_engine: Callable[..., EngineProcess], request: pytest.FixtureRequest
) -> EngineProcess:
    """The real engine."""
    # kept between runs, as a user's data folder is: compiled modules lie there
    base = Path(request.config.cache.mkdir("comfyui-base"))
    return start_engine("comfyui", "comfyui", str(TREE), str(base), str(LOCK))


@pytest.fixture(scope="session")
def fake_engine(start_engine: Callable[..., EngineProcess]) -> EngineProcess:
    """The fake engine."""
    return start_engine("fake", "fake")


@pytest.fixture(scope="session")
def painter(
    start_engine: Callable[..., EngineProcess], request: pytest.FixtureRequest
) -> EngineProcess:
    """A real engine of its own, on one thread, with models; its ``facts`` are what decides bits."""
    base = Path(request.config.cache.mkdir("comfyui-base"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        process = start_engine("painter", "comfyui", str(TREE), str(base))
    models = process.folder / "models"
    checkpoints.write_sd15(models / "checkpoints" / "mini.safetensors")
    checkpoints.write_sdxl(models / "checkpoints" / "xl.safetensors", tiny_text=True)
    checkpoints.write_upscaler(models / "checkpoints" / "upscaler.safetensors")
    (models / "checkpoints" / "old.ckpt").write_bytes(b"\x80\x04K\x01.")
    loras = models / "loras"
    checkpoints.write_lora(loras / "fits.safetensors")
    checkpoints.write_lora(loras / "sdxl.safetensors", sdxl=True)
    checkpoints.write_lora(loras / "sizes.safetensors", context=2048)
    checkpoints.write_lora(loras / "partly.safetensors", blocks=("1_1", "7_1"))
    checkpoints.write_controlnet(models / "controlnet" / "guide.safetensors")
    checkpoints.write_upscaler(models / "upscale_models" / "x4.safetensors")
    shutil.copy(loras / "fits.safetensors", models / "upscale_models" / "lora.safetensors")
    model_parts.write_all(models)
    process.facts = process.call(HERE / "painting.py", "begin")
    return process
