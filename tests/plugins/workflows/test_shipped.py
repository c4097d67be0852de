"""The workflows that come with Kino, run with real models as small as they can be."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from backend.media.audio import Audio
from backend.media.image import Image
from backend.testing.service import Service, until

pytestmark = pytest.mark.xdist_group("sdxl")

HERE = Path(__file__).parent
TEMPLATES = HERE.parents[2] / "backend" / "plugins" / "workflows" / "templates"
NAMES = sorted(path.stem.replace("-", "_") for path in TEMPLATES.glob("*.json"))
MINI = {"model": "mini.safetensors", "steps": 2, "sampler": "euler", "scheduler": "normal"}
RATE = 8000


@pytest.fixture(scope="module")
def shop(studio: Service) -> Service:
    """The service, as soon as it offers what comes with Kino."""

    def offered() -> list[str]:
        items = studio.get("/v1/workflows")["items"]
        return [each["name"] for each in items if each["shipped"]]

    until("the shipped workflows are offered", lambda: offered() == NAMES, seconds=300)
    return studio


def test_each_says_what_it_does(shop: Service) -> None:
    """In the list, in OpenAPI and to programs that speak MCP, each has a line of its own."""
    listed = shop.get("/v1/operations")
    items = listed["items"] if isinstance(listed, dict) else listed
    lines = {each["name"]: each["summary"] for each in items}
    told = {name: lines[f"workflow.{name}"] for name in NAMES}
    assert len(set(told.values())) == len(NAMES)
    assert told["text_to_image_flux"] == "Text to image (Flux). Makes a picture from words."
    assert all("stored workflow" not in line and len(line) < 330 for line in told.values()), told
    spec = shop.get("/openapi.json")["paths"]["/v1/operations/workflow.inpaint"]["post"]
    assert spec["summary"] == told["inpaint"]
    assert "stay" in spec["summary"] and "checkpoints" in spec["description"]


def made(shop: Service, name: str, params: dict[str, Any]) -> dict[str, Any]:
    job = shop.run(f"workflow.{name}", params)
    assert job["state"] == "succeeded", job["error"]
    assert job["result"]["warnings"] == []
    result: dict[str, Any] = job["result"]
    return result


def pixels(shop: Service, leaf: dict[str, Any]) -> Any:
    return np.asarray(PIL.Image.open(io.BytesIO(shop.ask("GET", leaf["href"]).body))).astype(int)


def uploaded(shop: Service, folder: Path, values: Any, name: str) -> str:
    path = folder / name
    Image.from_array(values.astype(np.float32)).save(path)
    return str(shop.upload(path.read_bytes(), name)["reference"])


@pytest.fixture
def photo(shop: Service, tmp_path: Path) -> str:
    """A smooth picture of 64 x 64."""
    y, x = np.mgrid[0:64, 0:64] / 64
    return uploaded(shop, tmp_path, np.stack([x, y, 1 - x], axis=-1), "photo.png")


def test_they_are_offered_with_good_names(shop: Service) -> None:
    """Each is an operation whose parameters are told apart, typed, with range and default; nothing
    that this ComfyUI lacks, no warnings, and no job is left behind."""
    for name in NAMES:
        stored = shop.get(f"/v1/workflows/{name}")
        assert (stored["format"], stored["warnings"], stored["shipped"]) == ("editor", [], True)
        shown = shop.get(f"/v1/operations/workflow.{name}")["schema"]["properties"]
        assert not [each for each in shown if each.endswith("_2")], name
        asked = [each for each, rules in shown.items() if "default" not in rules]
        media = {"image", "mask", "audio", "control_image"}
        assert set(asked) <= media, name
        if "steps" in shown:
            assert (shown["steps"]["minimum"], shown["steps"]["default"]) == (1, 20)
            assert "dpmpp_2m" in shown["sampler"]["enum"]
    assert shop.get("/v1/jobs?operation=workflows.describe")["items"] == []


def test_the_editor_sees_what_was_made(shop: Service) -> None:
    """Each is the editor's own document with a note, and every node at a place of its own."""
    for name in NAMES:
        document = json.loads(shop.ask("GET", f"/v1/workflows/{name}/original").body)
        places = [tuple(node["pos"]) for node in document["nodes"]]
        assert len(set(places)) == len(places)
        (note,) = [node for node in document["nodes"] if node["type"] == "MarkdownNote"]
        assert note["widgets_values"][0].startswith(f"# {note['title']}\n")


def test_one_of_ones_own_goes_first(shop: Service) -> None:
    """What is shipped cannot be deleted; a PUT under its name is offered instead, as a version that
    follows; deleting that gives back what was shipped, and jobs run what they were accepted as."""
    refused = shop.ask("DELETE", "/v1/workflows/upscale")
    assert refused.status == 409 and "comes with Kino" in refused.json()["detail"]
    before = shop.get("/v1/workflows/upscale")
    original = shop.ask("GET", "/v1/workflows/upscale/original").body
    as_json = {"Content-Type": "application/json"}
    same = shop.ask("PUT", "/v1/workflows/upscale", original, headers=as_json)
    assert (same.status, same.json()["shipped"]) == (200, True)
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }
    own = shop.ask("PUT", "/v1/workflows/upscale", graph)
    assert (own.status, own.json()["shipped"]) == (201, False)
    assert own.json()["version"] > before["version"]
    job = shop.run("workflow.upscale", {"width": 16})
    assert job["state"] == "succeeded", job["error"]
    assert shop.ask("DELETE", "/v1/workflows/upscale").status == 204
    assert shop.get("/v1/workflows/upscale") == before
    shown = shop.get("/v1/operations/workflow.upscale")["schema"]["properties"]
    assert "afterwards_scale_by" in shown


def test_text_to_image(shop: Service) -> None:
    """Words, size and seed reach the picture."""
    params = {**MINI, "width": 64, "height": 96, "prompt": "a cat"}
    first, again, other = (
        made(shop, "text_to_image", {**params, "seed": seed})["images"][0] for seed in (1, 1, 2)
    )
    assert (first["width"], first["height"]) == (64, 96)
    assert np.array_equal(pixels(shop, first), pixels(shop, again))
    assert not np.array_equal(pixels(shop, first), pixels(shop, other))


def test_image_to_image(shop: Service, photo: str) -> None:
    """The picture matters the more, the less is denoised."""
    found = [
        pixels(shop, made(shop, "image_to_image", {**MINI, "image": photo, "denoise": part})[
            "images"
        ][0])
        for part in (0.05, 0.1, 1.0)
    ]  # fmt: skip
    assert np.abs(found[0] - found[1]).mean() < 0.3 * np.abs(found[0] - found[2]).mean()


def test_inpaint(shop: Service, photo: str, tmp_path: Path) -> None:
    """Where the mask is black the picture stays bit for bit, where it is white it is new."""
    where = np.zeros((64, 64))
    where[16:48, 24:56] = 1
    mask = uploaded(shop, tmp_path, np.repeat(where[..., None], 3, -1), "mask.png")
    result = made(shop, "inpaint", {**MINI, "image": photo, "mask": mask})
    found, source = pixels(shop, result["images"][0]), pixels(
        shop, {"href": f"/v1/assets/{photo}/content"}
    )  # fmt: skip
    assert np.array_equal(found[where == 0], source[where == 0])
    assert np.mean(found[where == 1] != source[where == 1]) > 0.5


def test_upscale(shop: Service, photo: str) -> None:
    """Four times as large, or what is asked for afterwards."""
    params = {"model": "x4.safetensors", "image": photo}
    sizes = [
        made(shop, "upscale", {**params, "afterwards_scale_by": by})["images"][0]["width"]
        for by in (1.0, 0.5)
    ]
    assert sizes == [256, 128]


def test_advanced_text_to_image(shop: Service, photo: str) -> None:
    """Two passes, the second larger; LoRA and ControlNet each take effect."""
    params = {
        **MINI,
        "width": 64,
        "height": 64,
        "control_image": photo,
        "lora_name": "style.safetensors",
        "control_model": "guide.safetensors",
        "second_pass_start_at_step": 1,
    }
    changes: list[dict[str, Any]] = [
        {},
        {"lora_strength_model": 0.0},
        {"control_strength": 0.0},
    ]
    found = [
        made(shop, "advanced_text_to_image", {**params, **each})["images"][0] for each in changes
    ]
    assert {each["width"] for each in found} == {96}
    assert len({each["reference"] for each in found}) == 3


def tones() -> Any:
    """A second at 440 Hz and, as loud, at 1500 Hz, mono."""
    time = np.arange(RATE) / RATE
    both = 0.25 * np.sin(2 * np.pi * 440 * time) + 0.25 * np.sin(2 * np.pi * 1500 * time)
    return both[None].astype(np.float32)


def powers(samples: Any, n_fft: int = 256, hop: int = 64) -> Any:
    """``[bins, columns]``, Hann windows."""
    window = np.hanning(n_fft + 1)[:-1]
    starts = range(0, samples.shape[-1] - n_fft + 1, hop)
    columns = [np.fft.rfft(samples[0, at : at + n_fft] * window) for at in starts]
    return np.abs(np.array(columns).T) ** 2


def test_audio_inpaint(shop: Service, tmp_path: Path) -> None:
    """A part at 1500 Hz is made anew. Farther than half a window from the mask every sample is the
    same bit for bit; within that time, what changed lies in the mask's band (four bins beside it
    there is less than a millionth of it), and another tone keeps its level to 0.001 dB. The
    pictures show the same."""
    source = tones()
    path = tmp_path / "tones.wav"
    Audio.from_samples(source, RATE).save(path)
    sound = str(shop.upload(path.read_bytes(), "tones.wav")["reference"])
    settings = {"n_fft": 256, "hop_length": 64, "multiple_of": 8}
    view = shop.run("spectral.spectrogram", {"audio": sound, **settings})
    picture = view["result"]["picture"]
    shape = (picture["height"], picture["width"])
    first, last = 40, 90  # columns
    low, high = 1200 * 256 // RATE, 1800 * 256 // RATE  # bins
    where = np.zeros(shape)
    where[129 - 1 - high : 129 - low, first:last] = 1
    mask = uploaded(shop, tmp_path, np.repeat(where[..., None], 3, -1), "mask.png")
    params = {**MINI, "audio": sound, "mask": mask}
    params |= {f"spectrogram_{key}": value for key, value in settings.items()}
    result = made(shop, "audio_inpaint", params)
    path.write_bytes(shop.ask("GET", result["audio"][0]["href"]).body)
    found = Audio.open(path).samples
    assert found.shape == source.shape
    reach = np.zeros(source.shape[-1], bool)
    reach[first * 64 - 128 : (last - 1) * 64 + 128] = True
    assert np.array_equal(found[:, ~reach], source[:, ~reach])
    assert not np.array_equal(found, source)
    inside = slice(first * 64 + 256, (last - 1) * 64 - 256)
    before, after = powers(source[:, inside]), powers(found[:, inside])
    tone = round(440 * 256 / RATE)
    change_db = 10 * np.log10(after[tone].sum() / before[tone].sum())
    assert abs(change_db) < 0.001
    masked = slice(low + 2, high - 1)
    assert abs(10 * np.log10(after[masked].sum() / before[masked].sum())) > 1
    change = powers((found - source)[:, inside]).sum(axis=1)
    beside = np.delete(change, np.s_[low - 4 : high + 5])
    assert beside.sum() < 1e-6 * change[low : high + 1].sum()
    shown = [pixels(shop, leaf)[..., 0] for leaf in result["images"]]
    assert [each.shape for each in shown] == [shape, shape]
    columns = [*range(first - 4), *range(last + 4, shape[1])]
    assert np.array_equal(shown[0][:, columns], shown[1][:, columns])
    assert np.abs(shown[0] - shown[1])[where == 1].mean() > 10


def test_flux_wants_its_files(shop: Service, photo: str) -> None:
    """Both ask for their four files, each by a parameter of its own; what is not there is told at
    that parameter. (Whole runs, with a loader that reads a small T5: tests/bricks.)"""
    params = {
        "unet_name": "flux.safetensors",
        "clip_name2": "none.safetensors",
        "vae": "ae.safetensors",
    }
    for name, more in (("text_to_image_flux", {}), ("image_to_image_flux", {"image": photo})):
        path = f"/v1/operations/workflow.{name}?wait=120"
        answer = shop.ask("POST", path, {**params, **more})
        assert answer.status == 422, answer.body
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/clip_name2"
        assert "DualCLIPLoader" in error["message"]
