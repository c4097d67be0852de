"""The loaders and the saver under their older names, inside ComfyUI's executor."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import InvalidParameters
from backend.media import png
from backend.media.audio import Audio
from backend.media.decoding_audio import decode
from backend.media.image import Image
from backend.plugins import files
from backend.plugins.files import nodes
from backend.plugins.files.formats import SOUND_FORMATS
from backend.plugins.files.operations import load_audio, load_image, save_audio
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("comfy")

RNG = np.random.default_rng(41)
SAMPLES = (RNG.integers(-(2**14), 2**14, (1, 22_050)) / 2**15).astype(np.float32)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def sound_file(folder: Path, rate: int = 22_050) -> bytes:
    path = folder / f"{uuid.uuid4().hex}.wav"
    Audio.from_samples(SAMPLES, rate).save(path)
    return path.read_bytes()


def input_folder(service: Service) -> Path:
    return service.data_dir / "comfyui" / "input"


def run(service: Service, graph: dict[str, Any]) -> dict[str, Any]:
    job = service.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    result: dict[str, Any] = job["result"]
    return result


def problem(service: Service, graph: dict[str, Any]) -> dict[str, Any]:
    answer = service.ask("POST", "/v1/operations/workflows.run?wait=120", {"graph": graph})
    found: dict[str, Any] = answer.json()
    return found


def fetched(service: Service, leaf: dict[str, Any], folder: Path) -> Path:
    path = folder / f"{uuid.uuid4().hex}{Path(leaf['file_name']).suffix}"
    path.write_bytes(service.ask("GET", leaf["href"]).body)
    return path


LOAD_AND_KEEP = {
    "keep": node("KinoSaveAsset", audio=["load", 0], name="sound"),
    "rate": node("PreviewAny", source=["load", 1]),
    "duration": node("PreviewAny", source=["load", 2]),
    "channels": node("PreviewAny", source=["load", 3]),
}


def test_the_older_nodes_are_there() -> None:
    """Three shapes, whose choices and defaults every operation takes."""
    shapes = {shape.node_id: shape for shape in files.register_nodes()}
    assert {"InternodeAudioLoader", "InternodeAudioSaver", "InternodeImageLoader"} <= set(shapes)
    assert nodes.SAVED == (
        "wav_16bit", "wav_24bit", "wav_32bit_float", "flac", "flac_24bit", "ogg_low", "ogg_medium",
        "ogg_high", "mp3_128", "mp3_192", "mp3_320", "aac_192", "aiff",
    )  # fmt: skip
    assert {*nodes.SAVED, *nodes.NEWER} == set(SOUND_FORMATS)


@pytest.mark.parametrize(
    ("shape", "operation", "source"),
    [
        (nodes.AUDIO_LOADER, load_audio, "audio"),
        (nodes.AUDIO_SAVER, save_audio, "audio"),
        (nodes.IMAGE_LOADER, load_image, "image"),
    ],
)
def test_every_position_of_the_older_knobs_is_allowed(shape, operation, source) -> None:
    """Whatever is chosen on a node, the operation's own rules accept what becomes of it."""
    reference = "blake3:" + "0" * 64
    for item in shape.inputs:
        if item.parameter == source:
            continue
        choices = item.type if isinstance(item.type, tuple) else [item.options["default"]]
        if item.type == "BOOLEAN":
            choices = [True, False]
        for choice in choices:
            value = item.convert(choice) if item.convert else choice
            operation.check({source: reference, item.parameter: value}, lambda given, kind: given)


def test_an_asset_is_loaded_by_its_reference(service: Service, tmp_path: Path) -> None:
    """By id or content: mono becomes stereo at 44.1 kHz with its peak at -0.1 dBFS, and the node
    tells rate, seconds and channels, in this order."""
    asset = service.upload(sound_file(tmp_path), "sound.wav")
    load = node(
        "InternodeAudioLoader",
        audio_file=asset["id"],
        normalize=True,
        mono_to_stereo=True,
        target_sample_rate="44100",
    )
    result = run(service, {"load": load, **LOAD_AND_KEEP})
    found = Audio.open(fetched(service, result["audio"][0], tmp_path))
    assert (found.sample_rate, found.channels, found.frames) == (44_100, 2, 44_100)
    assert np.abs(found.samples).max() == pytest.approx(10 ** (-0.1 / 20), abs=1e-6)
    assert result["text"] == ["44100", "1.0", "2"]


def test_a_file_of_the_input_folder_is_loaded_by_its_name(service: Service, tmp_path: Path) -> None:
    """Also from a folder in it; untouched unless asked; and anew when the file has changed."""
    folder = input_folder(service) / "takes"
    folder.mkdir(exist_ok=True)
    name = f"take-{uuid.uuid4().hex}.flac"
    graph = {
        "load": node("InternodeAudioLoader", audio_file=f"takes/{name}", mono_to_stereo=False),
        **LOAD_AND_KEEP,
    }
    for gain in (1.0, 0.5):
        sound = Audio.from_samples(SAMPLES * gain, 22_050)
        (folder / name).write_bytes(save_audio(sound, "flac_24bit").path.read_bytes())
        result = run(service, graph)
        found = Audio.open(fetched(service, result["audio"][0], tmp_path))
        assert np.array_equal(found.samples, sound.samples)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../../etc/passwd", "no file's name in the input folder"),
        ("/etc/passwd", "no file's name in the input folder"),
        ("takes/../../input/../../../etc/passwd", "no file's name in the input folder"),
        ("..", "no file's name in the input folder"),
        ("leads-out.wav", "no file's name in the input folder"),
        ("nobody.wav", "there is no file"),
        ("none", "no file is chosen"),
        ("x" * 5000, "no file's name in the input folder"),
    ],
)
@pytest.mark.parametrize("loader", ["InternodeAudioLoader", "InternodeImageLoader"])
def test_no_name_leads_out_of_the_input_folder(
    service: Service, loader: str, name: str, told: str
) -> None:
    """Paths, links and names of nothing are refused with a sentence that points at the input."""
    with contextlib.suppress(FileExistsError):
        (input_folder(service) / "leads-out.wav").symlink_to("/etc/passwd")
    key = "audio_file" if loader == "InternodeAudioLoader" else "image_file"
    graph = {"1": node(loader, **{key: name}), "2": node("PreviewAny", source=["1", 2])}
    found = problem(service, graph)
    assert found["status"] == 422
    assert [(e["pointer"], e["rule"]) for e in found["errors"]] == [
        (f"/graph/1/inputs/{key}", "socket")
    ]
    assert told in found["detail"]


def test_a_file_of_another_kind_and_a_broken_one_are_refused(
    service: Service, tmp_path: Path
) -> None:
    """A picture is no sound, and half a WAV is a problem with its sentence, never silence."""
    folder = input_folder(service)
    Image.from_array(np.zeros((4, 4, 3))).save(folder / f"{uuid.uuid4().hex}.png")
    picture = next(folder.glob("*.png")).name
    broken = f"{uuid.uuid4().hex}.wav"
    (folder / broken).write_bytes(sound_file(tmp_path)[:-2000])
    keep = {"2": node("PreviewAny", source=["1", 1])}
    found = problem(service, {"1": node("InternodeAudioLoader", audio_file=picture), **keep})
    assert (found["status"], "of kind image" in found["detail"]) == (422, True)
    found = problem(service, {"1": node("InternodeAudioLoader", audio_file=broken), **keep})
    assert (found["status"], "cut" in found["detail"]) == (415, True)
    asset = service.upload(png_file(tmp_path), "x.png")["reference"]
    found = problem(service, {"1": node("InternodeAudioLoader", audio_file=asset), **keep})
    assert (found["status"], "of kind image" in found["detail"]) == (422, True)


def png_file(folder: Path) -> bytes:
    path = folder / "made.png"
    pixels = png.from_grid(RNG.integers(0, 255, (6, 8, 4)).astype(np.uint8))
    Image.from_array(pixels).save(path)
    return path.read_bytes()


def test_the_saver_gives_a_file_and_its_name(service: Service, tmp_path: Path) -> None:
    """Its file is an asset of the job, bit-exact; its outputs are a path that exists while the
    graph runs, and a name without the prefix's folders."""
    asset = service.upload(sound_file(tmp_path), "sound.wav")["reference"]
    graph = {
        "load": node("KinoLoadAsset", asset=asset),
        "save": node(
            "InternodeAudioSaver",
            audio=["load", 0],
            filename_prefix="../mixes/final",
            format="flac_24bit",
        ),
        "path": node("PreviewAny", source=["save", 0]),
        "name": node("PreviewAny", source=["save", 1]),
    }
    result = run(service, graph)
    (leaf,) = result["files"]
    found = decode(fetched(service, leaf, tmp_path), tmp_path, 1e6, 0)
    assert np.array_equal(found.samples, SAMPLES)
    path, name = result["text"]
    assert (Path(path).suffix, name, leaf["file_name"]) == (".flac", "final.flac", "final.flac")
    assert result["nodes"]["save"] == ["files_1"]
    assert result["names"]["files_1"] == "final.flac"


def test_the_saver_alone_is_a_graph_and_never_clips(service: Service, tmp_path: Path) -> None:
    """32-bit float keeps +6 dBFS to the bit; 16 bits refuse it, or are normalised if asked."""
    loud = tmp_path / "loud.wav"
    Audio.from_samples(SAMPLES * 4, 22_050).save(loud)
    asset = service.upload(loud.read_bytes(), "loud.wav")["reference"]
    load = node("KinoLoadAsset", asset=asset)

    def saver(**more: Any) -> dict[str, Any]:
        given = {"filename_prefix": "x", "format": "wav_16bit", **more}
        return {"1": load, "2": node("InternodeAudioSaver", audio=["1", 0], **given)}

    kept = run(service, saver(format="wav_32bit_float"))["files"][0]
    assert np.array_equal(Audio.open(fetched(service, kept, tmp_path)).samples, SAMPLES * 4)
    found = problem(service, saver())
    assert [(e["pointer"], e["rule"]) for e in found["errors"]] == [
        ("/graph/2/inputs/format", "peak_over_full_scale")
    ]
    made = run(service, saver(normalize_before_save=True))["files"][0]
    samples = decode(fetched(service, made, tmp_path), tmp_path, 1e6, 0).samples
    assert np.abs(samples).max() == pytest.approx(10 ** (-0.1 / 20), abs=2**-13)


def test_pictures_are_loaded_with_their_masks(service: Service, tmp_path: Path) -> None:
    """RGB, RGBA and grey; the mask is the alpha channel or its inverse, as it ever was."""
    data = png_file(tmp_path)
    asset = service.upload(data, "x.png")["reference"]
    pixels = Image.open(tmp_path / "made.png").pixels
    for inverted in (False, True):
        graph = {
            "1": node("InternodeImageLoader", image_file=asset, mode="RGB", invert_mask=inverted),
            "2": node("KinoSaveAsset", image=["1", 0], mask=["1", 1], name="x"),
            "3": node("PreviewAny", source=["1", 2]),
            "4": node("PreviewAny", source=["1", 3]),
        }
        result = run(service, graph)
        image = Image.open(fetched(service, result["images"][0], tmp_path))
        mask = Image.open(fetched(service, result["masks"][0], tmp_path)).pixels[:, :, 0]
        assert np.array_equal(image.pixels, pixels[:, :, :3])
        alpha = pixels[:, :, 3]
        assert mask == pytest.approx(1 - alpha if inverted else alpha, abs=1e-4)
        assert result["text"] == ["8", "6"]


def test_a_mask_without_alpha_is_empty() -> None:
    """As on the older node: nothing is masked; `opacity` says the opposite, everything."""
    image = Image.from_array(np.zeros((2, 2, 3)))
    assert not load_image(image, "rgb", "alpha").mask.values.any()
    assert not load_image(image, "rgb", "transparency").mask.values.any()
    assert load_image(image).mask.values.all()
    with pytest.raises(InvalidParameters):
        load_image.check({"image": "blake3:" + "0" * 64, "mask_of": "red"}, lambda r, k: r)
