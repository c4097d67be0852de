"""The separator over HTTP and as a node inside ComfyUI, with a tiny real model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.media.audio import Audio
from backend.testing.service import Service


def sound(tmp_path: Path, rate: int = 48000) -> bytes:
    t = np.arange(rate) / rate
    path = tmp_path / "mix.wav"
    Audio.from_samples(np.stack([np.sin(700 * t), np.sin(900 * t)]) * 0.3, rate).save(path)
    return path.read_bytes()


def fetched(service: Service, leaf: dict, tmp_path: Path) -> Audio:
    path = tmp_path / "fetched.wav"
    path.write_bytes(service.ask("GET", leaf["href"]).body)
    return Audio.open(path)


def test_over_http(launch: Callable[..., Service], models: Path, tmp_path: Path) -> None:
    """Four stems of the mix's form; a model that is not there is 503 with its remedy; one that
    nobody knows is 422. The worker needs no ComfyUI for it."""
    service = launch(workers=["comfy"], comfyui__enabled=False, comfyui__models_dir=models)
    service.wait_ready()
    audio = service.upload(sound(tmp_path), "mix.wav")["reference"]
    job = service.run("stems.separate", {"audio": audio})
    assert job["state"] == "succeeded", job["error"]
    stems = job["result"]["stems"]
    assert sorted(stems) == ["bass", "drums", "other", "vocals"]
    for leaf in stems.values():
        assert (leaf["sample_rate"], leaf["channels"], leaf["frames"]) == (48000, 2, 48000)
    where = "/v1/operations/stems.separate?wait=30"
    missing = service.ask("POST", where, {"audio": audio, "model": "htdemucs_ft"})
    assert missing.status == 503
    assert missing.json()["remedy"] == "Run: kino models download htdemucs_ft"
    unknown = service.ask("POST", where, {"audio": audio, "model": "spleeter"})
    assert unknown.status == 422
    assert unknown.json()["errors"][0]["pointer"] == "/model"


def test_as_a_node(launch: Callable[..., Service], models: Path, tmp_path: Path) -> None:
    """InternodeStemSplitter gives drums, bass, vocals, other, in this order, as the operation does,
    inside ComfyUI's executor."""
    service = launch(workers=["comfy"], comfyui__models_dir=models)
    service.wait_ready(seconds=170)
    audio = service.upload(sound(tmp_path), "mix.wav")["reference"]
    expected = service.run("stems.separate", {"audio": audio})["result"]["stems"]
    graph = {
        "load": {"class_type": "KinoLoadAsset", "inputs": {"asset": audio}},
        "split": {
            "class_type": "InternodeStemSplitter",
            "inputs": {"audio": ["load", 0], "model_name": "htdemucs", "device": "cpu"},
        },
    }
    names = ("drums", "bass", "vocals", "other")
    for slot, name in enumerate(names):
        inputs = {"audio": ["split", slot], "name": name}
        graph[name] = {"class_type": "KinoSaveAsset", "inputs": inputs}
    job = service.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    result = job["result"]
    by_name = {given: flat for flat, given in result["names"].items()}
    for name in names:
        number = int(by_name[name].rpartition("_")[2])
        leaf = result["audio"][number - 1]
        assert leaf["reference"] == expected[name]["reference"]
