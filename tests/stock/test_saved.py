"""What Kino's savers keep is found by a stock client where it looks for files."""

from __future__ import annotations

import io
from typing import Any

import blake3
import numpy as np
import soundfile
from PIL import Image

from backend.testing.service import Service
from backend.testing.stock_client import StockClient


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (9, 8, 7)).save(buffer, "PNG")
    return buffer.getvalue()


def loud() -> bytes:
    """A sound over full scale, which only a float format holds."""
    buffer = io.BytesIO()
    samples = np.linspace(-2.0, 2.0, 800, dtype=np.float32)
    soundfile.write(buffer, samples, 8000, "FLOAT", format="WAV")
    return buffer.getvalue()


def told(client: StockClient, graph: dict[str, Any]) -> dict[str, Any]:
    """What the history says of a prompt's outputs; the messages ``executed`` must say the same."""
    client.heard.clear()
    entry = client.until_done(client.post(graph)["prompt_id"])
    assert entry["status"]["completed"] is True, entry["status"]
    executed = [m["data"] for m in client.heard if m["type"] == "executed"]
    assert {data["node"]: data["output"] for data in executed} == entry["outputs"]
    return dict(entry["outputs"])


def test_what_is_kept_is_shown(stock: Service, client: StockClient) -> None:
    """A picture, a sound and a video of KinoSaveAsset stand in ``executed`` and in the history as
    those of ComfyUI's own savers do; /view gives the bytes of the very assets; and a second prompt
    has files of its own."""
    small = stock.upload(picture(), "small.png")["reference"]
    sound = stock.upload(loud(), "loud.wav")["reference"]
    graph = {
        "1": node("KinoLoadAsset", asset=small),
        "2": node("KinoSaveAsset", name="../a picture.v2", image=["1", 1]),
        "3": node("KinoLoadAsset", asset=sound),
        "4": node("KinoSaveAsset", name="", audio=["3", 0]),
        "5": node("EmptyImage", width=16, height=16, batch_size=3, color=255),
        "6": node("CreateVideo", images=["5", 0], fps=24.0),
        "7": node("SolidMask", value=0.5, width=8, height=8),
        "8": node("KinoSaveAsset", name="film", video=["6", 0], mask=["7", 0]),
    }
    outputs = told(client, graph)
    job = stock.get("/v1/jobs?operation=comfyui.prompt&limit=1")["items"][0]["result"]
    kept = {leaf["reference"] for key, leaf in job.items() if key.startswith("saved_")}
    (image,) = outputs["2"]["images"]
    assert image == {"filename": "a_picture.v2_00001_.png", "subfolder": "kino", "type": "output"}
    (audio,) = outputs["4"]["audio"]
    assert audio["filename"] == "result_00001_.wav"
    mask, film = outputs["8"]["images"]
    assert (mask["filename"], film["filename"]) == ("film_00001_.png", "film_00002_.mp4")
    assert outputs["8"]["animated"] == [True]
    views = [client.view(each) for each in (image, audio, mask, film)]
    assert [view.status for view in views] == [200] * 4
    types = [view.headers["content-type"].partition("/")[0] for view in views]
    assert types == ["image", "audio", "image", "video"]
    assert {f"blake3:{blake3.blake3(view.body).hexdigest()}" for view in views} == kept
    assert Image.open(io.BytesIO(views[0].body)).getpixel((0, 0)) == (9, 8, 7)
    again = told(client, graph)
    assert again["2"]["images"][0]["filename"] == "a_picture.v2_00002_.png"
    assert client.view(image).body == views[0].body


def notes() -> bytes:
    """One note."""
    played = bytes.fromhex("00903c64 60803c00 00ff2f00")
    head = b"MThd" + bytes.fromhex("00000006 0000 0001 0060")
    return head + b"MTrk" + len(played).to_bytes(4) + played


def test_notes_are_no_sound_and_long_names_are_cut(stock: Service, client: StockClient) -> None:
    """A MIDI file is not offered to a player; a name longer than file systems take is shortened."""
    tune = stock.upload(notes(), "tune.mid")["reference"]
    outputs = told(client, {
        "1": node("InternodeMidiLoader", midi_file=tune),
        "2": node("KinoSaveAsset", name="𠀀" * 80, midi=["1", 0]),
    })  # fmt: skip
    assert "audio" not in outputs["2"]
    (file,) = outputs["2"]["files"]
    assert file["filename"] == "𠀀" * 20 + "_00001_.mid"
    assert client.view(file).body == stock.ask("GET", f"/v1/assets/{tune}/content").body


def test_the_older_saver_is_shown_too(stock: Service, client: StockClient) -> None:
    """InternodeAudioSaver's file, in its format and under its prefix."""
    sound = stock.upload(loud(), "loud.wav")["reference"]
    given = {"filename_prefix": "old/mix", "format": "flac", "normalize_before_save": True}
    outputs = told(client, {
        "1": node("InternodeAudioLoader", audio_file=sound),
        "2": node("InternodeAudioSaver", audio=["1", 0], **given),
    })  # fmt: skip
    (audio,) = outputs["2"]["audio"]
    assert audio == {"filename": "mix_00001_.flac", "subfolder": "kino", "type": "output"}
    with soundfile.SoundFile(io.BytesIO(client.view(audio).body)) as file:
        assert (file.format, file.samplerate) == ("FLAC", 8000)


def test_a_job_of_kinos_own_leaves_nothing_there(stock: Service) -> None:
    """Its results are in the job, once, and ComfyUI's output folder stays as it was."""
    small = stock.upload(picture(), "small.png")["reference"]
    graph = {
        "1": node("KinoLoadAsset", asset=small),
        "2": node("KinoSaveAsset", name="alone", image=["1", 1]),
    }
    result = stock.run("workflows.run", {"graph": graph})["result"]
    assert [leaf["reference"] for leaf in result["images"]] == [small]
    assert not list((stock.data_dir / "comfyui" / "output").rglob("alone*"))
