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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp.client.client import Client
from pydantic_core import to_jsonable_python

from backend.media import codecs
from backend.media.audio import Audio
from backend.media.reference import MediaValue
from backend.operations import Operation
from backend.plugins.mixer.document import MixDoc
from backend.plugins.mixer.operations import duck, mix
from backend.testing.service import Service, environment, until

pytestmark = pytest.mark.xdist_group("comfy")

DUCK: dict[str, Any] = {
    "threshold_db": -31.5, "ratio": 7.25, "attack_ms": 3.0, "release_ms": 120.0,
    "makeup_db": 1.7, "knee_db": 9.5,
}  # fmt: skip
RATE = 96_000
STRIPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("music", {"id": "music", "fader_db": -3.3, "pan": -0.4, "compressor": {"key": "strip:voice"}}),
    ("voice", {"id": "voice", "fader_db": {"points": [[0, -20], [0.4, 4.1]]}, "solo": True,
               "gate": {}, "sends": [{"bus": "echo", "gain_db": -6.0}]}),
    ("music", {"id": "spare", "mute": True}),
    ("music", {"id": "again", "pan": 0.7, "solo": True, "eq": {"mid": {"gain_db": 3.5}}}),
)  # fmt: skip
"""Strips without their sources, and which sound each plays."""
MIX: dict[str, Any] = {
    "sample_rate": RATE,
    "buses": [{"id": "echo", "delay": {"time_s": 0.1, "echoes": 2}}],
    "master": {"drive": 0.2, "width": 1.2, "limiter": {"ceiling_db": -0.5}},
}
ASKED: dict[str, Any] = {"stems": True, "loudness": "all", "picture": True}

Named = Mapping[str, Any]
"""What stands for each source: a value, a reference, ``@file``, or a link in a graph."""


@dataclass(frozen=True)
class Call:
    """One call: in Python, as JSON parameters, and as the inputs of the derived node."""

    operation: Operation[..., Any]
    python: Callable[[Named], Any]
    params: Callable[[Named], dict[str, Any]]
    inputs: Callable[[Named], dict[str, Any]]


def _document(named: Named) -> dict[str, Any]:
    return {**MIX, "strips": [{**strip, "source": named[sound]} for sound, strip in STRIPS]}


CALLS = {
    "duck": Call(
        duck,
        lambda named: duck(named["music"], named["voice"], **DUCK),
        lambda named: {**named, **DUCK},
        lambda named: {**named, **DUCK},
    ),
    "mix": Call(
        mix,
        lambda named: mix(MixDoc.model_validate(_document(named)), **ASKED),
        lambda named: {"mix": _document(named), **ASKED},
        lambda named: {
            **ASKED,
            "mix": json.dumps({**MIX, "strips": [strip for _, strip in STRIPS]}),
            **{
                f"mix_strips_{number}_source": named[sound]
                for number, (sound, _) in enumerate(STRIPS, 1)
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
        leaves = dict(media(result))
        assert leaves.keys() == dict(media(self.expected)).keys()
        for name, value in media(self.expected):
            assert leaves[name]["reference"] == reference(value, folder)
            if isinstance(value, Audio):
                same_samples(self.fetch(leaves[name]["href"], folder), value)
        for name, value in self.expected.items():
            if not dict(media({name: value})):
                assert result[name] == to_jsonable_python(value)


def media(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every medium of a result, or what stands for it in JSON, by its flat name."""
    for name, value in values.items():
        if isinstance(value, MediaValue) or (isinstance(value, dict) and "reference" in value):
            yield before + name, value
        elif isinstance(value, dict):
            yield from media(value, f"{before}{name}_")


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
    made = dict(media(stage.expected))
    first = made[next(iter(made))].samples
    assert np.abs(first).max() > 0.1
    assert not np.array_equal(first, stage.values["music"].samples)
    again = dict(media(stage.call.operation.values(stage.call.python(stage.values))))
    assert again.keys() == made.keys()
    for name, value in made.items():
        if isinstance(value, Audio):
            assert np.array_equal(again[name].samples, value.samples)
        else:
            assert np.array_equal(again[name].pixels, value.pixels)


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
        seconds=300,
    )
    stage.check_job(ended, tmp_path)
    stream = stage.service.ask("GET", ended["links"]["events"]).body.decode()
    events = [line for line in stream.splitlines() if line.startswith("event: ")]
    assert events[0] == "event: queued"
    assert events[-1] == "event: succeeded"
    for name, value in media(stage.expected):
        if isinstance(value, Audio):
            same_samples(stage.fetch(f"{here}/outputs/{name}", tmp_path), value)
    stage.check_job(stage.service.run(ended["operation"], ended["params"]), tmp_path)


def _in_graph(
    stage: Stage, class_type: str, inputs: dict[str, Any], expected: dict[str, Any]
) -> dict[str, Any]:
    """A graph: assets in, one node of ours, everything that it gives out."""
    loaders = {
        name: {"class_type": "KinoLoadAsset", "inputs": {"asset": asset}}
        for name, asset in stage.references.items()
    }
    ends = {}
    for slot, (name, value) in enumerate(expected.items()):
        found = [each for _, each in media({name: value})]
        if found:
            kind = {"name": name, found[0].kind: ["node", slot]}
            ends[f"save {name}"] = {"class_type": "KinoSaveAsset", "inputs": kind}
        else:
            shown = {"source": ["node", slot]}
            ends[f"show {name}"] = {"class_type": "PreviewAny", "inputs": shown}
    node = {"class_type": class_type, "inputs": inputs}
    return {**loaders, "node": node, **ends}


def _check_graph(
    stage: Stage, graph: dict[str, Any], expected: dict[str, Any], folder: Path
) -> None:
    job = stage.service.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    for kind, key in (("audio", "audio"), ("image", "images")):
        wanted = [value for _, value in media(expected) if value.kind == kind]
        got = job["result"][key]
        assert [leaf["reference"] for leaf in got] == [reference(each, folder) for each in wanted]
        for leaf, value in zip(got, wanted, strict=True):
            if isinstance(value, Audio):
                same_samples(stage.fetch(leaf["href"], folder), value)
    named = [name for name, value in expected.items() for _ in media({name: value})]
    assert sorted(job["result"]["names"].values()) == sorted(named)
    shown = [json.loads(text) for text in job["result"]["text"]]
    plain = [value for name, value in expected.items() if not dict(media({name: value}))]
    assert shown == [to_jsonable_python(value) for value in plain]


def test_node(stage: Stage, tmp_path: Path) -> None:
    """The derived node, inside ComfyUI's own executor, between the bridge nodes."""
    links = {name: [name, 0] for name in stage.references}
    operation = stage.call.operation
    graph = _in_graph(stage, operation.node_id, stage.call.inputs(links), stage.expected)
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
    made = {"audio": expected}
    graph = _in_graph(stage, "InternodeSidechain", {**links, **knobs}, made)
    _check_graph(stage, graph, made, tmp_path)


OLDER_MIX: dict[str, Any] = {
    "vol_1": 1.1, "pan_1": -0.5, "eq_low_1": 1.5, "eq_mid_1": 0.0, "eq_high_1": 1, "gate_1": 0.05,
    "comp_1": 0.6, "d_time_1": 0.12, "d_fb_1": 0.5, "d_mix_1": 0.3, "d_echo_1": 3,
    "mute_1": False, "solo_1": False, "vol_3": 0.5, "comp_3": 0.0, "mute_2": True,
    "master_vol": 1.2, "master_comp": 0.2, "master_eq_high": 0.8, "master_balance": 0.1,
    "master_width": 1.4, "master_drive": 0.5, "master_locut": 40.0, "master_hicut": 15000.0,
    "master_ceil": 0.7,
}  # fmt: skip
"""Inputs as an older graph in API format holds them; what it leaves out is at its default."""


def older_mix(values: Mapping[str, Audio]) -> dict[str, Audio]:
    """What `OLDER_MIX` asks for, written out in today's document."""

    def db(knob: float) -> float:
        return 20 * math.log10(knob)

    strips: list[dict[str, Any]] = [
        {
            "id": "track_1", "source": values["music"], "fader_db": db(1.1), "pan": -0.5,
            "eq": {"low": {"gain_db": db(1.5)}, "mid": {"gain_db": -60.0}},
            "gate": {"threshold_db": db(0.005)},
            "compressor": {"threshold_db": -20.0, "ratio": 3.4, "makeup_db": db(1.3)},
            "delay": {"time_s": 0.12, "feedback": 0.5, "mix": 0.3, "echoes": 3},
        },
        {"id": "track_3", "source": values["voice"], "fader_db": db(0.5)},
    ]  # fmt: skip
    master = {
        "high_pass_hz": 40.0, "drive": 0.5, "low_pass_hz": 15000.0,
        "compressor": {"threshold_db": -10.0, "ratio": 1.8, "makeup_db": db(1.1)},
        "eq": {"high": {"gain_db": db(0.8)}}, "width": 1.4, "balance": 0.1, "volume_db": db(1.2),
        "limiter": {"ceiling_db": db(0.7)},
    }  # fmt: skip
    made = mix(MixDoc.model_validate({"strips": strips, "master": master}))
    return {"master_output": made.master, "pre_master_output": made.pre_master}


@pytest.mark.parametrize("node", ["InternodeAudioMixer", "InternodeAudioMixer8"])
@pytest.mark.parametrize("stage", ["duck"], indirect=True)
def test_older_mixer(stage: Stage, node: str, tmp_path: Path) -> None:
    """An API-format graph with flat ``vol_1 …`` runs inside ComfyUI: the same console behind the
    older knobs, linked tracks only, both outputs, and none of the inputs is called unknown."""
    tracks = {"track_1": ["music", 0], "track_3": ["voice", 0]}
    made = older_mix(stage.values)
    graph = _in_graph(stage, node, {**OLDER_MIX, **tracks}, made)
    _check_graph(stage, graph, made, tmp_path)
    job = stage.service.run("workflows.run", {"graph": graph})
    assert job["result"]["warnings"] == []


@pytest.mark.parametrize("stage", ["duck"], indirect=True)
def test_older_mixer_out_of_range(stage: Stage, tmp_path: Path) -> None:
    """A knob out of its range, a word for a number, and a key that leads nowhere in a document:
    422 with the node and the input, though ComfyUI does not check what a node does not list."""
    strips = [{"id": "a", "compressor": {"key": "strip:gone"}}]
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"vol_1": 1.6}, "vol_1", "vol_1: 1.6 is above 1.5"),
        ({"pan_1": "left"}, "pan_1", "'left' is no FLOAT"),
        ({"mix": json.dumps({"strips": strips})}, "mix", "no strip 'gone'"),
    ]
    for inputs, name, says in cases:
        graph = _in_graph(
            stage,
            "InternodeAudioMixer",
            {**inputs, "track_1": ["music", 0]},
            {"master_output": stage.values["music"]},
        )
        job = stage.service.run("workflows.run", {"graph": graph})
        assert job["state"] == "failed"
        (error,) = job["error"]["errors"]
        assert error["pointer"] == f"/graph/node/inputs/{name}"
        assert says in error["message"]
        assert (job["error"]["node_id"], job["error"]["node_type"]) == (
            "node",
            "InternodeAudioMixer",
        )


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
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    stage.check_job(json.loads(ended.stdout), tmp_path)
    written = {path.stem: path for path in (tmp_path / "out").iterdir()}
    expected = dict(media(stage.expected))
    assert written.keys() == expected.keys()
    for name, value in expected.items():
        assert written[name].suffix == (".wav" if isinstance(value, Audio) else ".png")
        if isinstance(value, Audio):
            same_samples(written[name], value)


async def test_mcp(stage: Stage, tmp_path: Path) -> None:
    """The MCP tool, called by the official client."""
    async with Client(stage.service.url + "/mcp") as client:
        called = await client.call_tool(stage.call.operation.slug, stage.params)
    assert called.is_error is False
    assert called.structured_content is not None
    result = dict(called.structured_content)
    assert str(result.pop("job")).startswith("job_")
    stage.check_result(result, tmp_path)
