"""The separator over HTTP and as a node inside ComfyUI, with a tiny real model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.media.audio import Audio
from backend.testing.service import Service, environment, until


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
    where = "/v1/operations/stems.separate?wait=120"
    missing = service.ask("POST", where, {"audio": audio, "model": "htdemucs_ft"})
    assert missing.status == 503
    assert missing.json()["remedy"] == "Run: kino models download htdemucs_ft"
    jobs = service.get("/v1/jobs")["items"]
    assert [each["state"] for each in jobs] == ["succeeded"]  # no job was made to fail
    part = service.ask("POST", where, {"audio": audio, "two_stems": "Kazoo 9"})
    assert part.json()["errors"][0]["pointer"] == "/two_stems"
    unknown = service.ask("POST", where, {"audio": audio, "model": "spleeter"})
    assert unknown.status == 422
    assert unknown.json()["errors"][0]["pointer"] == "/model"


def doctor(service: Service) -> dict[str, dict]:
    """What `kino doctor` finds, by name."""
    said = subprocess.run(
        [str(Path(sys.executable).with_name("kino")), "doctor", "--json"],
        env=environment({"url": service.url}),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    return {each["name"]: each for each in json.loads(said.stdout)["findings"]}


def test_without_a_model_it_is_not_available_until_one_comes(
    launch: Callable[..., Service], models: Path, tmp_path: Path
) -> None:
    """Every place says so with the command that fetches one, and a call is refused at once; as
    soon as the files are there it runs, without a restart, and when they go it says so again."""
    folder = tmp_path / "models"
    service = launch(workers=["comfy"], comfyui__enabled=False, comfyui__models_dir=folder)
    service.wait_ready()
    here = "/v1/operations/stems.separate"
    why = {
        "reason": "there is no model in models/stems",
        "remedy": "Run: kino models download htdemucs",
    }
    assert service.get(here)["unavailable"] == why
    assert service.get("/readyz")["unavailable"]["stems.separate"] == why
    found = doctor(service)["operation stems.separate"]
    assert (found["state"], found["remedy"]) == ("missing", why["remedy"])
    audio = service.upload(sound(tmp_path), "mix.wav")["reference"]
    refused = service.ask("POST", here, {"audio": audio})
    assert (refused.status, refused.json()["remedy"]) == (503, why["remedy"])
    assert service.get("/v1/jobs")["items"] == []

    shutil.copytree(models / "stems", folder / "stems")
    job = service.run("stems.separate", {"audio": audio}, seconds=300)
    assert job["state"] == "succeeded", job["error"]
    assert service.get(here)["available"]
    assert "stems.separate" not in service.get("/readyz")["unavailable"]

    shutil.rmtree(folder / "stems")
    until("it is told", lambda: service.get(here)["unavailable"] == why, seconds=300)
    assert service.ask("POST", here, {"audio": audio}).status == 503


def test_as_a_node(launch: Callable[..., Service], models: Path, tmp_path: Path) -> None:
    """InternodeStemSplitter gives drums, bass, vocals, other, in this order, as the operation does,
    inside ComfyUI's executor."""
    service = launch(workers=["comfy"], comfyui__models_dir=models)
    service.wait_ready()
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
