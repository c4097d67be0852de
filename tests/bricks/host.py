"""A process that runs an engine for tests: commands come in and answers go out as lines of JSON.

Knows: the real engine and the fake one, and nodes that misbehave on request.
Does not know: what is tested. pytest itself imports neither torch nor ComfyUI.

Started as ``python -P host.py fake`` or ``python -P host.py comfyui <tree> <base> [<lock>]``.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib.util
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from backend.bricks import engine, lane
from backend.context import Cancelled, Context
from backend.errors import KinoError
from backend.media.codecs import opener
from backend.media.reference import MediaValue


class Sleep:
    """The test's sleeping node, as a V1 class: the fake engine has one of its own."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        return {
            "required": {
                "seconds": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 600.0}),
                "steps": ("INT", {"default": 10, "min": 1, "max": 10000}),
            },
            "optional": {"image": ("IMAGE",)},
        }

    def run(self, seconds, steps, image=None):
        from backend.bricks.operation_nodes import context

        ctx = context()
        for done in range(steps):
            time.sleep(seconds / steps)
            ctx.progress(done + 1, steps)
        return {"ui": {"text": [f"slept {seconds} s"]}, "result": (image,)}


class Fail:
    """The test's failing node."""

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 (ComfyUI's name)
        return {"required": {"message": ("STRING", {"default": "asked to fail"})}}

    def run(self, message):
        raise RuntimeError(message)


def described(value: MediaValue | str) -> dict[str, Any]:
    """What tests look at: a digest of the samples, and where the file lies."""
    if isinstance(value, str):
        return {"text": value}
    path = getattr(value, "path", None)
    found: dict[str, Any] = {"path": None if path is None else str(path)}
    for samples in ("samples", "pixels", "values"):
        if hasattr(value, samples):
            array = getattr(value, samples)
            found["shape"] = list(array.shape)
            found["digest"] = hashlib.sha256(array.tobytes()).hexdigest()
    if hasattr(value, "sample_rate"):
        found["sample_rate"] = value.sample_rate
    if hasattr(value, "media_type"):
        found["media_type"] = value.media_type
    return found


class Host:
    """The loop: one thread reads, the main thread is the lane."""

    def __init__(self) -> None:
        # what nodes print must not get between the answers
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._inbox: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._one_line = threading.Lock()

    def say(self, **message: Any) -> None:
        with self._one_line:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()

    def serve(self, ready: dict[str, Any]) -> None:
        threading.Thread(target=self._read, daemon=True).start()
        self.say(ready=ready)
        while (command := self._inbox.get()) is not None:
            work = self._run if command["do"] == "run" else self._call
            try:
                self.say(result=work(command))
            except Cancelled:
                self.say(error={"class": "Cancelled"})
            except KinoError as error:
                self.say(error={"class": type(error).__name__, **error.as_problem()})
            except Exception:  # noqa: BLE001 (told to the test)
                self.say(error={"class": "crash", "detail": traceback.format_exc()})

    def _read(self) -> None:
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "interrupt":
                self.say(interrupted=lane.current().interrupt(command["job"]))
            else:
                self._inbox.put(command)
        self._inbox.put(None)

    def _run(self, command: dict[str, Any]) -> dict[str, Any]:
        graph = command["graph"]
        before = copy.deepcopy(graph)
        assets = {
            reference: opener(kind, Path(path))
            for reference, (kind, path) in command["assets"].items()
        }
        context = Context(
            on_progress=lambda done, total, node: self.say(progress=[done, total, node]),
            is_cancelled=lambda: bool(command.get("cancelled")),
        )
        result = lane.current().run(
            lambda: engine.current().run(
                graph, assets=assets, ctx=context, folder=Path(command["folder"])
            ),
            command["job"],
            context,
        )
        return {
            "produced": [
                {"node": item.node_id, "kind": item.kind, **described(item.value)}
                for item in result.produced
            ],
            "nodes": result.by_node(),
            "names": result.given_names(),
            "warnings": list(result.warnings),
            "untouched": graph == before,
        }

    def _call(self, command: dict[str, Any]) -> Any:
        """Call a function of a file of probes; inside a job on the lane unless told otherwise."""
        name = f"kino_test_{Path(command['file']).stem}"
        spec = importlib.util.spec_from_file_location(name, command["file"])
        assert spec is not None and spec.loader is not None
        probes = sys.modules.get(name) or importlib.util.module_from_spec(spec)
        if name not in sys.modules:
            sys.modules[name] = probes
            spec.loader.exec_module(probes)
        return getattr(probes, command["name"])(Path(command["folder"]))


def start(kind: str, *words: str) -> dict[str, Any]:
    """Boot the wanted engine; returns what tests want to know of it."""
    if kind == "fake":
        from backend.testing import engine as fake

        return fake.install().as_json()
    from backend.bricks import boot, nodes

    before = list(sys.path), list(sys.argv)
    stages: list[str] = []
    info = boot.boot(
        Path(words[0]),
        Path(words[1]),
        lock=Path(words[2]) if len(words) > 2 else None,
        on_stage=stages.append,
    )
    nodes.register_node("KinoTestSleep", Sleep)
    nodes.register_node("KinoTestFail", Fail)
    unchanged = before == (list(sys.path), list(sys.argv))
    return {**info.as_json(), "stages": stages, "unchanged": unchanged}


if __name__ == "__main__":
    host = Host()
    with contextlib.suppress(BrokenPipeError):
        host.serve(start(*sys.argv[1:]))
