"""The plugin through every door, and its nodes inside ComfyUI's executor."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.plugins.reactive import operations
from backend.plugins.reactive.curve_operations import remap
from backend.testing import assert_every_door
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("comfy")


def sound() -> Audio:
    swell = np.linspace(0, 1, 8000) * np.sin(np.arange(8000) / 5)
    return Audio.from_samples(swell.astype(np.float32), 8000)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def saved(name: str, **inputs: Any) -> dict[str, Any]:
    return node("KinoSaveAsset", name=name, **inputs)


def test_every_door_follows_a_sound_alike(service: Service) -> None:
    """Curve, picture and schedule are the same to the bit, at a rate that is a fraction."""
    passed = assert_every_door(
        service, operations.keyframes, audio=sound(), fps=Fraction(30000, 1001), mode="mid"
    )
    assert passed == ("python", "http", "openapi", "cli", "mcp", "node")


def test_every_door_takes_a_curve(service: Service) -> None:
    """An automation goes in and comes out through each."""
    curve = Automation.from_values([0, 0.25, 1], "24000/1001")
    assert "node" in assert_every_door(service, remap, curve=curve, shape="ease_in")


def test_older_graphs_run_inside_comfyui(service: Service) -> None:
    """The nodes of an API-format graph, linked as the predecessor's: a curve into a remapper's
    list and into a number that may move, texts, and a picture into a node of ComfyUI's own."""
    uploaded = service.upload(_wav(sound()), "swell.wav")["reference"]
    graph = {
        "1": node("KinoLoadAsset", asset=uploaded),
        "2": node(
            "InternodeAudioToKeyframes", audio=["1", 0], fps=24, mode="Beat (Trigger)",
            smoothing=0.2, amp_scale=1.0, y_offset=0.0, beat_threshold=0.4,
        ),
        "3": node(
            "InternodeLFO", waveform="Triangle", period_frames=8, amplitude=0.5, offset=0.5,
            phase_shift=0.0, total_frames=16,
        ),
        "4": node(
            "InternodeParamRemap", value=["3", 1], in_min=0.0, in_max=1.0, out_min=0.0,
            out_max=10.0, curve="Ease In (Square)", clamp=True, value_list=["3", 0],
        ),
        "5": node(
            "InternodeStringSequencer", schedule="0: a cat\n8: a dog", total_frames=16,
            current_frame=9,
        ),
        "6": node("InternodeMarkdownNote", text=["5", 0]),
        "7": node("ImageInvert", image=["2", 2]),
        "8": node("PreviewAny", source=["6", 0]),
        "9": node("PreviewAny", source=["5", 1]),
        "10": node("PreviewAny", source=["2", 1]),
        "11": node("KinoReactiveCombine", first=["3", 0], second=["2", 0], way="maximum"),
        "12": saved("beats", automation=["2", 0], image=["7", 0]),
        "13": saved("bent", automation=["4", 1]),
        "14": saved("both", automation=["11", 0]),
        "15": node("InternodeAudioAnalyzer", audio=["1", 0], frame_rate=30, smoothness=0.0),
        "16": saved("level", automation=["15", 0]),
    }  # fmt: skip
    job = service.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    result = job["result"]
    named = {given: flat for flat, given in result["names"].items()}
    curves = {
        given: _content(service, result["automation"][int(flat.rpartition("_")[2]) - 1])
        for given, flat in named.items()
        if flat.startswith("automation")
    }
    assert set(curves["beats"].values.tolist()) <= {0.0, 1.0}
    triangle = np.array([0.5, 0.75, 1, 0.75, 0.5, 0.25, 0, 0.25])
    np.testing.assert_allclose(curves["bent"].values, np.tile(10 * triangle**2, 2), atol=1e-5)
    assert curves["both"].frames == 16
    assert (str(curves["level"].frame_rate), curves["level"].frames) == ("30", 30)
    texts = result["text"]
    assert "a dog" in texts
    assert any("a cat" in each and "a dog" in each for each in texts)
    assert any(each.startswith("0:(") for each in texts)


def test_a_curve_drives_a_number_inside_comfyui(service: Service) -> None:
    """An automation linked to a number that may move gives what the same number typed gives, to
    the bit; one that leaves the range is refused at the input it came in by."""
    uploaded = service.upload(_wav(sound()), "swell.wav")["reference"]
    ducker = {"music": ["1", 0], "voice": ["1", 0], "ratio": 4.0, "attack_ms": 10.0}
    graph = {
        "1": node("KinoLoadAsset", asset=uploaded),
        "2": node("KinoReactiveFromValues", values="[-40, -40]", fps="24"),
        "3": node("KinoMixerDuck", **ducker, threshold_db=["2", 0]),
        "4": node("KinoMixerDuck", **ducker, threshold_db=-40.0),
        "5": saved("moved", audio=["3", 0]),
        "6": saved("typed", audio=["4", 0]),
    }
    job = service.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    moved, typed = job["result"]["audio"]
    assert moved["reference"] == typed["reference"] != uploaded
    graph["2"]["inputs"]["values"] = "[-40, 40]"
    failed = service.run("workflows.run", {"graph": graph})
    assert failed["state"] == "failed"
    assert [each["pointer"] for each in failed["error"]["errors"]] == [
        "/graph/3/inputs/threshold_db"
    ]


def _content(service: Service, leaf: dict[str, Any]) -> Automation:
    answer = service.ask("GET", f"/v1/assets/{leaf['reference']}/content")
    return Automation.from_json(answer.body)


def _wav(audio: Audio) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        audio.save(Path(folder) / "a.wav")
        return (Path(folder) / "a.wav").read_bytes()
