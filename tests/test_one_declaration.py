"""The architecture: one declaration, six doors, and the same samples behind each, bit for bit.

Knows: two calls (flat parameters; nested ones, whose result also holds a value), and every way to
make them.
Does not know: what the operations compute.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp.client.client import Client

from backend.media import codecs
from backend.media.audio import Audio
from backend.operations import Operation
from backend.plugins.mixer.operations import duck, mix
from backend.plugins.mixer.tracks import Track
from backend.testing.service import Service, environment, until

pytestmark = pytest.mark.xdist_group("comfy")

DUCK: dict[str, Any] = {
    "threshold_db": -31.5, "ratio": 7.25, "attack_ms": 3.0, "release_ms": 120.0,
    "makeup_db": 1.7, "knee_db": 9.5,
}  # fmt: skip
MUSIC = {"gain_db": -3.3, "pan": -0.4}
VOICE = {"gain_db": 4.1, "pan": 0.7, "solo": True}
SPARE = {"mute": True}
RATE = 96_000

Named = Mapping[str, Any]
"""What stands for each source: a value, a reference, ``@file``, or a link in a graph."""


@dataclass(frozen=True)
class Call:
    """One call: in Python, as JSON parameters, and as the inputs of the derived node."""

    operation: Operation[..., Any]
    python: Callable[[Named], Any]
    params: Callable[[Named], dict[str, Any]]
    inputs: Callable[[Named], dict[str, Any]]


def _tracks(named: Named) -> list[dict[str, Any]]:
    return [
        {"source": named["music"], **MUSIC},
        {"source": named["voice"], **VOICE},
        {"source": named["music"], **SPARE},
        {"source": named["music"], **VOICE},
    ]


CALLS = {
    "duck": Call(
        duck,
        lambda named: duck(named["music"], named["voice"], **DUCK),
        lambda named: {**named, **DUCK},
        lambda named: {**named, **DUCK},
    ),
    "mix": Call(
        mix,
        lambda named: mix([Track(**track) for track in _tracks(named)], RATE),
        lambda named: {"tracks": _tracks(named), "sample_rate": RATE},
        lambda named: {
            "sample_rate": str(RATE),  # it may be absent, so its widget takes JSON
            **{
                f"tracks_{number}_{name}": value
                for number, track in enumerate(_tracks(named), 1)
                for name, value in track.items()
            },
        },
    ),
}


def _noise(seed: int, seconds: float, rate: int) -> Audio:
    """Stereo noise that comes and goes, in full float32 precision, at times over full scale."""
    frames = int(seconds * rate)
    swell = np.sin(np.linspace(0, 9, frames)) ** 2
    noise = np.random.default_rng(seed).standard_normal((2, frames)) * 0.4 * swell
    return Audio.from_samples(noise.astype(np.float32), rate)


@dataclass(frozen=True)
class Stage:
    """The service, the two sounds as values, files and assets, and what Python makes of them."""

    service: Service
    call: Call
    values: dict[str, Audio]
    files: dict[str, Path]
    references: dict[str, str]
    expected: dict[str, Any]

    @property
    def name(self) -> str:
        return self.call.operation.name

    @property
    def params(self) -> dict[str, Any]:
        return self.call.params(self.references)

    def fetch(self, href: str, folder: Path) -> Path:
        path = folder / "fetched.wav"
        path.write_bytes(self.service.ask("GET", href).body)
        return path

    def check_job(self, job: dict[str, Any], folder: Path) -> None:
        """An ended job holds what Python returned: samples, content references, values."""
        assert job["state"] == "succeeded", job["error"]
        self.check_result(job["result"], folder)

    def check_result(self, result: dict[str, Any], folder: Path) -> None:
        assert result.keys() == self.expected.keys()
        for name, value in self.expected.items():
            if isinstance(value, Audio):
                assert result[name]["reference"] == reference(value, folder)
                same_samples(self.fetch(result[name]["href"], folder), value)
            else:
                assert result[name] == value


def same_samples(path: Path, expected: Audio) -> None:
    """The file holds the expected samples, bit for bit, at the same rate."""
    got = Audio.open(path)
    assert (got.sample_rate, got.channels, got.frames) == (
        expected.sample_rate, expected.channels, expected.frames,
    )  # fmt: skip
    assert got.samples.dtype == expected.samples.dtype == np.float32
    assert np.array_equal(got.samples.view(np.uint32), expected.samples.view(np.uint32))


def reference(value: Audio, folder: Path) -> str:
    """The content reference that a value has as soon as it is an asset."""
    return f"blake3:{codecs.store(value, folder, 'expected').blake3}"


@pytest.fixture(scope="module")
def values() -> dict[str, Audio]:
    return {"music": _noise(1, 1.3, 48_000), "voice": _noise(2, 0.9, 44_100)}


@pytest.fixture(scope="module")
def files(values: dict[str, Audio], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("one-declaration")
    paths = {name: folder / f"{name}.wav" for name in values}
    for name, value in values.items():
        value.save(paths[name])
    return paths


@pytest.fixture(scope="module", params=CALLS)
def stage(
    request: pytest.FixtureRequest,
    service: Service,
    values: dict[str, Audio],
    files: dict[str, Path],
) -> Stage:
    call = CALLS[request.param]
    references = {
        name: service.upload(path.read_bytes(), path.name)["reference"]
        for name, path in files.items()
    }
    expected = call.operation.values(call.python(values))
    return Stage(service, call, values, files, references, expected)


def test_python(stage: Stage) -> None:
    """The function itself: it changes what it is given, and gives the same each time."""
    made = [value for value in stage.expected.values() if isinstance(value, Audio)]
    assert made
    assert all(np.abs(each.samples).max() > 0.1 for each in made)
    assert not np.array_equal(made[0].samples, stage.values["music"].samples)
    again = stage.call.operation.values(stage.call.python(stage.values))
    for name, value in stage.expected.items():
        if isinstance(value, Audio):
            assert np.array_equal(again[name].samples, value.samples)


def test_http(stage: Stage, tmp_path: Path) -> None:
    """``POST /v1/operations/…?wait=…``: the ended job, with its result, is the answer."""
    stage.check_job(stage.service.run(stage.name, stage.params), tmp_path)


def test_job(stage: Stage, tmp_path: Path) -> None:
    """A durable job: 202, polled, followed by its events, fetched under its outputs' names, and
    run again from its own record."""
    accepted = stage.service.ask("POST", f"/v1/operations/{stage.name}", stage.params)
    assert accepted.status == 202
    here = accepted.headers["location"]
    ended = until(
        "the job has ended",
        lambda: (job := stage.service.get(here))["state"] not in ("queued", "running") and job,
        seconds=60,
    )
    stage.check_job(ended, tmp_path)
    stream = stage.service.ask("GET", ended["links"]["events"]).body.decode()
    events = [line for line in stream.splitlines() if line.startswith("event: ")]
    assert events[0] == "event: queued"
    assert events[-1] == "event: succeeded"
    for name, value in stage.expected.items():
        if isinstance(value, Audio):
            same_samples(stage.fetch(f"{here}/outputs/{name}", tmp_path), value)
    stage.check_job(stage.service.run(ended["operation"], ended["params"]), tmp_path)


def _in_graph(stage: Stage, class_type: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """A graph: assets in, one node of ours, everything that it gives out."""
    loaders = {
        name: {"class_type": "KinoLoadAsset", "inputs": {"asset": asset}}
        for name, asset in stage.references.items()
    }
    savers = {
        f"save {name}": {
            "class_type": "KinoSaveAsset",
            "inputs": {"audio": ["node", slot], "name": name},
        }
        for slot, (name, value) in enumerate(stage.expected.items())
        if isinstance(value, Audio)
    }
    texts = {
        f"show {name}": {"class_type": "PreviewAny", "inputs": {"source": ["node", slot]}}
        for slot, (name, value) in enumerate(stage.expected.items())
        if not isinstance(value, Audio)
    }
    node = {"class_type": class_type, "inputs": inputs}
    return {**loaders, "node": node, **savers, **texts}


def _check_graph(
    stage: Stage, graph: dict[str, Any], expected: dict[str, Any], folder: Path
) -> None:
    job = stage.service.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    given = job["result"]["names"]
    heard = {given[f"audio_{n}"]: leaf for n, leaf in enumerate(job["result"]["audio"], 1)}
    sounds = {name: value for name, value in expected.items() if isinstance(value, Audio)}
    assert heard.keys() == sounds.keys()
    for name, value in sounds.items():
        assert heard[name]["reference"] == reference(value, folder)
        same_samples(stage.fetch(heard[name]["href"], folder), value)
    shown = [json.loads(text) for text in job["result"]["text"]]
    assert shown == [value for value in expected.values() if not isinstance(value, Audio)]


def test_node(stage: Stage, tmp_path: Path) -> None:
    """The derived node, inside ComfyUI's own executor, between the bridge nodes."""
    links = {name: [name, 0] for name in stage.references}
    operation = stage.call.operation
    graph = _in_graph(stage, operation.node_id, stage.call.inputs(links))
    _check_graph(stage, graph, stage.expected, tmp_path)


@pytest.mark.parametrize("stage", ["duck"], indirect=True)
def test_older_node(stage: Stage, tmp_path: Path) -> None:
    """``InternodeSidechain``: the same ducker behind the knobs that old graphs hold."""
    knobs = {
        "threshold": 0.06, "ratio": 7.5, "attack": 0.03, "release": 0.4, "makeup_gain": 1.25,
    }  # fmt: skip
    expected = duck(
        stage.values["music"],
        stage.values["voice"],
        threshold_db=20 * math.log10(knobs["threshold"]),
        ratio=knobs["ratio"],
        attack_ms=1000 * knobs["attack"],
        release_ms=1000 * knobs["release"],
        makeup_db=20 * math.log10(knobs["makeup_gain"]),
    )
    links = {name: [name, 0] for name in stage.references}
    graph = _in_graph(stage, "InternodeSidechain", {**links, **knobs})
    _check_graph(stage, graph, {"audio": expected}, tmp_path)


def test_command_line(stage: Stage, tmp_path: Path) -> None:
    """``kino run … --music=@music.wav --output DIR``: uploads, runs, follows and downloads."""
    named = {name: f"@{path}" for name, path in stage.files.items()}
    words = [
        f"--{name.replace('_', '-')}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in stage.call.params(named).items()
    ]
    ended = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "backend", "run", stage.name, *words),
            *("--url", stage.service.url, "--output", str(tmp_path / "out"), "--json"),
        ],
        env=environment({}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ended.returncode == 0, ended.stderr
    stage.check_job(json.loads(ended.stdout), tmp_path)
    sounds = [value for value in stage.expected.values() if isinstance(value, Audio)]
    written = sorted((tmp_path / "out").iterdir())
    assert [path.suffix for path in written] == [".wav"] * len(sounds)
    for path, value in zip(written, sounds, strict=True):
        same_samples(path, value)


async def test_mcp(stage: Stage, tmp_path: Path) -> None:
    """The MCP tool, called by the official client."""
    async with Client(stage.service.url + "/mcp") as client:
        called = await client.call_tool(stage.call.operation.slug, stage.params)
    assert called.is_error is False
    assert called.structured_content is not None
    result = dict(called.structured_content)
    assert str(result.pop("job")).startswith("job_")
    stage.check_result(result, tmp_path)
