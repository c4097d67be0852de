"""The plugin through every door, its nodes inside ComfyUI, and files that users take home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from backend.media.audio import Audio
from backend.media.image import Image
from backend.plugins.spectral import operations
from backend.plugins.spectral.strokes import Brush, Rectangle
from backend.testing import assert_every_door
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("comfy")


AUDIO = "blake3:" + "0" * 64
STROKES = [{"shape": "brush", "points": [[0.1, 1000], [0.3, 4000]], "mode": "replace"}]


def sound() -> Audio:
    noise = np.random.default_rng(9).standard_normal((2, 9000)) * np.linspace(0, 0.6, 9000)
    return Audio.from_samples(noise.astype(np.float32), 22050)


def wav(audio: Audio, folder: Path) -> bytes:
    path = folder / f"{audio.frames}.wav"
    if not path.exists():
        audio.save(path)
    return path.read_bytes()


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def test_every_door_shows_a_sound_alike(cpu_service: Service) -> None:
    """Picture and settings are the same through each; what a node gives is tested below, because
    an IMAGE has no file to carry settings in."""
    passed = assert_every_door(
        cpu_service, operations.spectrogram, audio=sound(), n_fft=512, hop_length=128
    )
    assert passed == ("python", "http", "openapi", "cli", "mcp")


def test_every_door_brushes_alike(cpu_service: Service) -> None:
    """Strokes as data, and all three results; a node takes strokes as a text, see below."""
    strokes = [
        Brush(points=[(0.1, 1000), (0.3, 4000)], feather=0.3),
        Rectangle(shape="rectangle", start_s=0.2, end_s=0.3, mode="replace", fill_from="time"),
    ]
    passed = assert_every_door(
        cpu_service, operations.brush, audio=sound(), strokes=strokes, n_fft=512, hop_length=128
    )
    assert passed == ("python", "http", "openapi", "cli", "mcp")


def test_a_picture_taken_home_and_brought_back(service: Service, tmp_path: Path) -> None:
    """The PNG of a result, uploaded again as it is, goes back into the sound by itself; edited by
    a program that drops chunks, it does so with the settings of the first result as data."""
    source = service.upload(wav(sound(), tmp_path), "source.wav")["reference"]
    seen = service.run("spectral.spectrogram", {"audio": source, "n_fft": 512, "hop_length": 128})
    result = seen["result"]
    taken = service.ask("GET", result["picture"]["href"]).body
    again = service.upload(taken, "spectrogram.png")["reference"]
    assert again == result["picture"]["reference"]
    back = service.run("spectral.apply", {"audio": source, "picture": again})
    assert back["result"]["audio"]["reference"] == source
    assert back["result"]["edited_share"] == 0.0

    (tmp_path / "taken.png").write_bytes(taken)
    with PIL.Image.open(tmp_path / "taken.png") as opened:
        wide = np.asarray(opened).astype(np.uint32)
    edited = np.rint(wide / 257).astype(np.uint8)
    edited[100:140, 10:30] = 0
    PIL.Image.fromarray(edited).convert("RGB").save(tmp_path / "edited.png")
    bare = service.upload((tmp_path / "edited.png").read_bytes(), "edited.png")["reference"]
    refused = service.run("spectral.apply", {"audio": source, "picture": bare})
    assert refused["state"] == "failed"
    assert refused["error"]["errors"][0]["pointer"] == "/settings"
    params = {"audio": source, "picture": bare, "settings": result["settings"]}
    done = service.run("spectral.apply", params)
    assert 0 < done["result"]["edited_share"] < 0.05
    assert done["result"]["audio"]["reference"] != source


def test_the_older_nodes_run_inside_comfyui(service: Service, tmp_path: Path) -> None:
    """Sound → picture → ComfyUI's own nodes → back: unedited it is bit-exact through IMAGE, padded
    for models; and the picture alone becomes a sound of the right length, with or without its
    settings."""
    audio = sound()
    uploaded = service.upload(wav(audio, tmp_path), "source.wav")["reference"]
    graph = {
        "1": node("KinoLoadAsset", asset=uploaded),
        "2": node(
            "InternodeSpectrogram", audio=["1", 0], n_fft=512, hop_length=128, multiple_of=8
        ),
        "3": node("ImageInvert", image=["2", 0]),
        "4": node("ImageInvert", image=["3", 0]),
        "5": node("KinoSpectralApply", audio=["1", 0], picture=["2", 0], settings=["2", 1]),
        "6": node(
            "InternodeImageToAudio", image=["4", 0], n_iter=4, hop=128, amp_scale=0.5,
            sample_rate=22050, settings=["2", 1],
        ),
        "7": node(
            "InternodeImageToAudio", image=["2", 0], n_iter=4, hop=128, amp_scale=1.0,
            sample_rate=44100,
        ),
        "8": node("KinoSaveAsset", name="back", audio=["5", 0], image=["2", 0]),
        "9": node("KinoSaveAsset", name="made", audio=["6", 0]),
        "10": node("KinoSaveAsset", name="bare", audio=["7", 0]),
        "11": node("PreviewAny", source=["2", 1]),
        "12": node(
            "KinoSpectralBrush", audio=["1", 0], strokes=json.dumps(STROKES), n_fft=512,
            hop_length=128, picture=False,
        ),
        "13": node("KinoSaveAsset", name="brushed", audio=["12", 0]),
    }  # fmt: skip
    job = service.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    result = job["result"]
    named = {result["names"][f"audio_{n}"]: leaf for n, leaf in enumerate(result["audio"], 1)}
    settings = json.loads(result["text"][0])
    assert settings["pad_bottom"] == 6
    assert named["back"]["reference"] == uploaded
    picture = tmp_path / "picture.png"
    picture.write_bytes(service.ask("GET", result["images"][0]["href"]).body)
    seen = Image.open(picture)
    assert (seen.width % 8, seen.height % 8) == (0, 0)

    brushed = tmp_path / "brushed.wav"
    brushed.write_bytes(service.ask("GET", named["brushed"]["href"]).body)
    strokes = operations.brush.bind({"audio": AUDIO, "strokes": STROKES}, lambda *_: audio)
    wanted = operations.brush(audio, strokes["strokes"], 512, 128, picture=False)
    assert np.array_equal(Audio.open(brushed).samples, wanted.audio.samples)

    made = tmp_path / "made.wav"
    made.write_bytes(service.ask("GET", named["made"]["href"]).body)
    sounding = Audio.open(made)
    assert (sounding.sample_rate, sounding.channels, sounding.frames) == (22050, 2, 9000)
    level = np.sqrt((sounding.samples**2).mean() / (audio.samples**2).mean())
    assert 20 * np.log10(level) == pytest.approx(-6.0, abs=1.0)
    bare = tmp_path / "bare.wav"
    bare.write_bytes(service.ask("GET", named["bare"]["href"]).body)
    alone = Audio.open(bare)
    assert (alone.sample_rate, alone.channels) == (44100, 1)
    assert alone.frames == (seen.width - 1) * 128


def test_problems_name_the_field(cpu_service: Service, tmp_path: Path) -> None:
    """Bad input that only the worker can notice is a 422 with pointer, rule and sentence."""
    short = Audio.from_samples(np.zeros((1, 10), np.float32), 8000)
    reference = cpu_service.upload(wav(short, tmp_path), "short.wav")["reference"]
    job = cpu_service.run("spectral.spectrogram", {"audio": reference, "n_fft": 64})
    found = job["error"]["errors"][0]
    assert job["error"]["status"] == 422
    assert (found["pointer"], found["rule"]) == ("/audio", "too_short")
    assert "10 samples" in found["message"]
