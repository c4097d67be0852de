"""One job in a worker, without the process around it: what is sent and what comes back."""

from __future__ import annotations

import base64
import socket
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from backend import wire
from backend.context import LOCAL, Cancelled, Context, scratch_folder
from backend.errors import InvalidParameters
from backend.media import codecs
from backend.media.audio import Audio
from backend.media.image import Image
from backend.operations import operation
from backend.worker.outbox import Outbox
from backend.worker.preview import jpeg
from backend.worker.run import Reports, run


class Pair(NamedTuple):
    """Two outputs."""

    loud: Audio
    level: float


@operation("test.double")
def double(audio: Audio, gain: float = 2.0, *, ctx: Context = LOCAL) -> Pair:
    """Multiply the samples."""
    ctx.progress(1, 2)
    ctx.progress(2, 2)
    return Pair(Audio.from_samples(audio.samples * gain, audio.sample_rate), gain)


@operation("test.where")
def where() -> str:
    """The folder for files of this run."""
    return scratch_folder().name


@operation("test.raise")
def raise_(what: str) -> int:
    """Raise an error by its name."""
    known: dict[str, BaseException] = {
        "ours": InvalidParameters("no such preset"),
        "memory": MemoryError(),
        "other": KeyError("/etc/secret"),
        "cancelled": Cancelled(),
    }
    raise known[what]


@operation("test.nan")
def nan() -> dict[str, Any]:
    """Return what JSON cannot hold."""
    return {"level": float("nan")}


@operation("test.object")
def strange() -> Any:
    """Return what nobody can write down."""
    return object()


OPERATIONS = {each.name: each for each in (double, where, raise_, nan, strange)}


class Wire:
    """The other end of a worker's connection."""

    def __init__(self) -> None:
        self.here, there = socket.socketpair()
        self.here.settimeout(5)
        self.outbox = Outbox(there)
        self._there = there

    def received(self) -> list[tuple[wire.Message, bytes]]:
        """Everything that was sent; closes the worker's end."""
        self._there.close()
        got = []
        while True:
            try:
                got.append(wire.receive_blocking(self.here))
            except wire.WireError:
                self.here.close()
                return got


@pytest.fixture
def line():
    made = Wire()
    yield made
    made.received()


def message(name: str, folder: Path, files: dict | None = None, **params: Any) -> wire.Message:
    return {
        "t": "run", "job": "job_x", "attempt": 1, "operation": name, "params": params,
        "files": files or {}, "scratch": str(folder),
    }  # fmt: skip


def do(line: Wire, said: wire.Message, is_cancelled=lambda: False) -> wire.Message:
    return run(said, OPERATIONS, line.outbox, is_cancelled, lambda work, job_id, ctx: work())


def test_files_come_in_and_go_out(line, tmp_path) -> None:
    """A reference is opened, the result is stored in the scratch folder, samples are exact."""
    samples = np.linspace(-0.4, 0.4, 20_000, dtype=np.float32)
    stored = codecs.store(Audio.from_samples(samples, 8000), tmp_path, "in")
    reference = f"blake3:{stored.blake3}"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    files = {reference: {"path": str(stored.path), "kind": "audio"}}
    done = do(line, message("test.double", scratch, files, audio=reference, gain=2.0))
    assert (done["job"], done["attempt"], done["state"]) == ("job_x", 1, "succeeded")
    assert done["result"]["level"] == 2.0
    leaf = done["result"]["loud"]["$media"]
    assert Path(leaf["path"]).parent == scratch
    assert (leaf["kind"], leaf["file_name"]) == ("audio", "loud.wav")
    assert np.array_equal(Audio.open(Path(leaf["path"])).samples[0], samples * 2)
    assert done["progress"]["done"] == 2
    assert done["clean"] is False
    assert line.received() == []


@operation("test.paint")
def paint() -> str:
    """Write where ComfyUI writes, and into folders of its own."""
    for name in ("graph/a.png", "graph/temp/b.png", "graph/sub/c.png", "other/temp/d.png"):
        path = scratch_folder() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return "done"


def test_the_folders_of_graphs_stay_empty_for_the_next_job(line, tmp_path) -> None:
    """Of all that a run leaves behind only the folders that every graph needs are kept, empty."""
    operations = {"test.paint": paint}
    done = run(
        message("test.paint", tmp_path),
        operations,
        line.outbox,
        lambda: False,
        lambda work, job_id, ctx: work(),
    )
    assert (done["state"], done["clean"]) == ("succeeded", True)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["graph", "graph/temp"]


def test_a_small_result_brings_its_bytes(line, tmp_path) -> None:
    """What is small stands in the answer, and nothing is left in the scratch folder."""
    stored = codecs.store(Audio.from_samples([0.25], 8000), tmp_path, "in")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    files = {f"blake3:{stored.blake3}": {"path": str(stored.path), "kind": "audio"}}
    audio = f"blake3:{stored.blake3}"
    done = do(line, message("test.double", scratch, files, audio=audio, gain=2.0))
    leaf = done["result"]["loud"]["$media"]
    assert "path" not in leaf
    content = base64.b64decode(leaf["content"])
    assert leaf["size"] == len(content)
    assert np.frombuffer(content[-4:], "<f4").tolist() == [0.5]
    assert done["clean"] is True
    assert list(scratch.iterdir()) == []


def test_a_run_has_a_scratch_folder_of_its_own(line, tmp_path) -> None:
    """File-backed values are written into the folder of the attempt."""
    assert do(line, message("test.where", tmp_path))["result"] == {"result": tmp_path.name}


@pytest.mark.parametrize(
    ("what", "slug", "retryable"),
    [
        ("ours", "invalid-parameters", False),
        ("memory", "out-of-memory", True),
        ("other", "operation-failed", False),
    ],
)
def test_errors_become_problems(line, tmp_path, what, slug, retryable) -> None:
    """Our errors travel as they are, others under an incident without their text."""
    done = do(line, message("test.raise", tmp_path, what=what))
    assert (done["state"], done["retryable"]) == ("failed", retryable)
    assert done["problem"]["type"] == f"/v1/problems/{slug}"
    assert "secret" not in str(done)
    assert ("incident" in done["problem"]) is (what == "other")


def test_the_traceback_is_in_the_log(line, tmp_path, caplog) -> None:
    """The incident's id leads to the traceback."""
    done = do(line, message("test.raise", tmp_path, what="other"))
    assert done["problem"]["incident"] in caplog.text
    assert "KeyError" in caplog.text


def test_a_cancelled_run_says_so(line, tmp_path) -> None:
    """Cancelled is a state, not a failure; a job cancelled before it began does not begin."""
    assert do(line, message("test.raise", tmp_path, what="cancelled"))["state"] == "cancelled"
    done = do(line, message("test.where", tmp_path), is_cancelled=lambda: True)
    assert done == {"job": "job_x", "attempt": 1, "state": "cancelled", "clean": True}


def test_what_cannot_be_kept_is_an_error(line, tmp_path) -> None:
    """NaN becomes null, as JSON has none; a strange object is a failure, not a crash."""
    assert do(line, message("test.nan", tmp_path))["result"] == {"result": {"level": None}}
    done = do(line, message("test.object", tmp_path))
    assert (done["state"], done["problem"]["type"]) == ("failed", "/v1/problems/operation-failed")


def test_a_missing_operation_or_file_is_named(line, tmp_path) -> None:
    """The worker may know less than the service: it says so instead of dying."""
    done = do(line, message("test.unknown", tmp_path))
    assert done["problem"]["type"] == "/v1/problems/operation-unavailable"
    done = do(line, message("test.double", tmp_path, audio="blake3:" + "0" * 64))
    assert done["problem"]["errors"][0]["pointer"] == "/audio"


def test_progress_is_thinned_out_and_ends_exactly(line) -> None:
    """Thousands of reports become a few, and the last one is always sent."""
    reports = Reports("job_x", line.outbox)
    began = time.monotonic()
    for n in range(5000):
        reports.progress(n, 4999, "7")
        time.sleep(0.00001)
    took = time.monotonic() - began
    last = reports.take()
    assert last == {"t": "progress", "job": "job_x", "done": 4999, "total": 4999, "node": "7"}
    assert reports.take() == {}
    assert 1 <= len(line.received()) <= took / 0.02 + 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_previews_are_small_jpegs(line, channels) -> None:
    """A preview of any channel count is a JPEG of at most 512 px; a burst sends one."""
    image = Image.from_array(np.full((1200, 600, channels), 0.5, np.float32))
    picture = jpeg(image)
    assert picture[:2] == b"\xff\xd8"
    assert len(picture) < 20_000
    reports = Reports("job_x", line.outbox)
    for _ in range(10):
        reports.preview(image)
    assert [(m["t"], blob) for m, blob in line.received()] == [("preview", picture)]
