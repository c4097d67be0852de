"""The MIDI loader under its older name, inside ComfyUI's executor."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

import mido
import pytest
from comfy_sdk import Comfy

from backend.media.midi import Midi
from backend.plugins.files import midi_nodes
from backend.plugins.files.midi_operations import load_midi
from backend.testing import assert_every_door
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("comfy")


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def graph(**inputs: Any) -> dict[str, Any]:
    return {
        "load": node("InternodeMidiLoader", **inputs),
        "keep": node("KinoSaveAsset", midi=["load", 0], image=["load", 1], name="tune"),
        "seconds": node("PreviewAny", source=["load", 2]),
        "notes": node("PreviewAny", source=["load", 3]),
        "bpm": node("PreviewAny", source=["load", 4]),
    }


def pitches(service: Service, leaf: dict[str, Any]) -> list[int]:
    file = mido.MidiFile(file=io.BytesIO(service.ask("GET", leaf["href"]).body))
    return [each.note for each in file if each.type == "note_on" and each.velocity]


def test_the_older_node_alone_gives_its_midi_first(service: Service, band: bytes) -> None:
    """A graph that knows only `midi_file` runs; the MIDI is output 0, and the facts follow."""
    asset = service.upload(band, "waltz.mid")["reference"]
    job = service.run("workflows.run", {"graph": graph(midi_file=asset)})
    assert job["state"] == "succeeded", job["error"]
    result = job["result"]
    assert sorted(pitches(service, result["midi"][0])) == [35, 36, 38, 72, 76, 79]
    assert len(result["images"]) == 1
    seconds, notes, bpm = result["text"]
    assert float(seconds) == pytest.approx(8 / 3, abs=1e-5)
    assert (int(notes), float(bpm)) == (6, 90.0)


def test_a_file_of_the_input_folder_and_its_knobs(service: Service, band: bytes) -> None:
    """By name: a track of its own, a fifth down, at half the tempo; without its picture, nothing
    that waits for one runs."""
    name = f"{uuid.uuid4().hex}.mid"
    (service.data_dir / "comfyui" / "input" / name).write_bytes(band)
    knobs = {"midi_file": name, "track": 2, "channel": 1, "transpose": -7, "tempo_scale": 0.5}
    job = service.run("workflows.run", {"graph": graph(**knobs)})
    assert job["state"] == "succeeded", job["error"]
    assert pitches(service, job["result"]["midi"][0]) == [65, 69, 72]
    assert float(job["result"]["text"][2]) == pytest.approx(45.0)
    bare = graph(midi_file=name, piano_roll=False)
    bare["keep"] = node("KinoSaveAsset", midi=["load", 0], name="tune")
    assert service.run("workflows.run", {"graph": bare})["state"] == "succeeded"


@pytest.mark.parametrize(
    ("content", "inputs", "status", "rule", "told"),
    [
        ("cut", {}, 415, None, "cut: track 3 says"),
        (b"MThd\0\0\0\6\0\2\0\1\0\x60", {}, 415, None, "type 2"),
        (None, {"midi_file": "none"}, 422, "socket", "no file is chosen"),
        (None, {"midi_file": "../../x.mid"}, 422, "socket", "no file's name"),
        ("band", {"track": 9}, 422, "tracks", "there are 3 tracks"),
        ("band", {"transpose": 60}, 422, "pitch_range", "132"),
    ],
    ids=["cut", "type 2", "none", "outside", "no such track", "too high"],
)
def test_bad_input_is_told_at_the_node(
    service: Service, band: bytes, content: Any, inputs: dict[str, Any], status: int,
    rule: str | None, told: str,
) -> None:  # fmt: skip
    """What cannot be loaded is a problem at the node, and a wrong knob one at its input."""
    name = f"{uuid.uuid4().hex}.mid"
    if content is not None:
        data = {"band": band, "cut": band[:-3]}.get(content, content)
        (service.data_dir / "comfyui" / "input" / name).write_bytes(data)
    given = {"graph": graph(**{"midi_file": name, **inputs})}
    answer = service.ask("POST", "/v1/operations/workflows.run?wait=60", given)
    problem = answer.json()
    assert (answer.status, told in problem["detail"]) == (status, True), problem
    (error,) = problem["errors"]
    where = list(inputs)[-1] if inputs else None
    assert error["pointer"] == "/graph/load" + (f"/inputs/{where}" if where else "")
    assert rule in (None, error["rule"])


def test_every_position_of_the_knobs_is_allowed() -> None:
    """Both ends of each knob's range are within what the operation takes."""
    reference = "blake3:" + "0" * 64
    for item in midi_nodes.MIDI_LOADER.inputs[1:]:
        ends = [item.options[end] for end in ("min", "max", "default") if end in item.options]
        for choice in ends:
            value = item.convert(choice) if item.convert else choice
            load_midi.check({"midi": reference, item.parameter: value}, lambda given, kind: given)


def test_every_door_gives_the_same(service: Service, band: bytes) -> None:
    """Python, HTTP, as published, command line, MCP and node agree."""
    midi = Midi.from_bytes(band)
    doors = assert_every_door(service, load_midi, midi=midi, transpose_st=2, bpm=101.5)
    assert len(doors) >= 5


@pytest.mark.parametrize("loader", ["InternodeMidiLoader", "KinoLoadAsset"])
def test_the_official_client_brings_midi_and_gets_it_back(
    service: Service, band: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: str
) -> None:
    """An asset handle of the Comfy API v2 stands in either loader; what is kept comes out as it
    went in."""
    (tmp_path / "waltz.mid").write_bytes(band)
    key, output = {"InternodeMidiLoader": ("midi_file", 0), "KinoLoadAsset": ("asset", 3)}[loader]
    monkeypatch.setenv("COMFY_BASE_URL", service.url)
    monkeypatch.delenv("COMFY_API_KEY", raising=False)
    with Comfy(timeout=300) as comfy:
        graph = {
            "1": node(loader),
            "2": node("KinoSaveAsset", midi=["1", output], name="tune"),
        }
        workflow = comfy.workflows.from_json(graph)
        workflow.set_input("1", key, comfy.assets.from_file(tmp_path / "waltz.mid"))
        (kept,) = comfy.run(workflow).outputs
        assert kept.to_bytes() == band
