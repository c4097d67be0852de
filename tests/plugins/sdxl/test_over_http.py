"""Pictures over HTTP with a real, tiny checkpoint inside the real ComfyUI."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from backend.media.image import Image
from backend.testing.service import Service, until

pytestmark = pytest.mark.xdist_group("sdxl")

SMALL = {"width": 64, "height": 64}


def done(studio: Service, verb: str, params: dict[str, Any]) -> dict[str, Any]:
    job = studio.run(f"sdxl.{verb}", params)
    assert job["state"] == "succeeded", job["error"]
    result: dict[str, Any] = job["result"]
    return result


def refused(studio: Service, verb: str, params: dict[str, Any]) -> tuple[str, str, str]:
    """Pointer, rule and sentence of what is wrong."""
    said = studio.ask("POST", f"/v1/operations/sdxl.{verb}?wait=120", params).json()
    assert said["status"] == 422, said
    found = said["errors"][0]
    return found["pointer"], found["rule"], found["message"]


def png(studio: Service, leaf: dict[str, Any]) -> PIL.Image.Image:
    opened = PIL.Image.open(io.BytesIO(studio.ask("GET", leaf["href"]).body))
    opened.load()
    return opened


def pixels(studio: Service, leaf: dict[str, Any]) -> np.ndarray:
    return np.asarray(png(studio, leaf)).astype(np.int16)


def uploaded(studio: Service, folder: Path, width: int = 64, height: int = 64) -> str:
    """A smooth picture, as an asset."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    path = folder / f"{width}x{height}.png"
    path.unlink(missing_ok=True)
    Image.from_array(np.stack([x, y, 1 - x], axis=-1)).save(path)
    return str(studio.upload(path.read_bytes(), path.name)["reference"])


def test_the_seed_decides(studio: Service, sampled: dict[str, Any]) -> None:
    """Equal seeds give equal files; another seed, another prompt, another negative prompt and
    another guidance each another picture; every picture of a batch is one of its own."""
    first = done(studio, "text_to_image", {**sampled, **SMALL, "seed": 7, "batch": 2})
    again = done(studio, "text_to_image", {**sampled, **SMALL, "seed": 7, "batch": 2})
    references = [leaf["reference"] for leaf in first["images"]]
    assert references == [leaf["reference"] for leaf in again["images"]]
    assert len(set(references)) == 2
    for change in (
        {"seed": 8},
        {"prompt": "a blue car"},
        {"negative_prompt": "a dog"},
        {"guidance": 2.0},
    ):
        other = done(studio, "text_to_image", {**sampled, **SMALL, "seed": 7, **change})
        found = pixels(studio, other["images"][0])
        assert not any(np.array_equal(found, pixels(studio, leaf)) for leaf in first["images"])


def test_a_run_is_seen_while_it_goes_and_can_be_stopped(
    studio: Service, sampled: dict[str, Any]
) -> None:
    """Its events count the steps of both passes up to the last, never back, with previews in
    between; a long run ends as cancelled soon after it was asked to, and the next one is not
    touched by that."""
    hires = {"scale": 1.5, "steps": 2}
    params = {**sampled, **SMALL, "steps": 4, "hires": hires, "tile_px": 128}
    job = studio.ask("POST", "/v1/operations/sdxl.text_to_image", params).json()
    events = studio.ask("GET", f"/v1/jobs/{job['id']}/events", seconds=300).body.decode()
    told = [json.loads(line[5:]) for line in events.splitlines() if line.startswith("data:")]
    steps = [(each["done"], each["total"]) for each in told if "total" in each]
    assert steps and steps == sorted(steps) and steps[-1] == (6, 6)
    assert any(each.get("media_type") == "image/jpeg" for each in told)

    long = {**sampled, "width": 256, "height": 256, "steps": 1000}
    job = studio.ask("POST", "/v1/operations/sdxl.text_to_image", long).json()
    until("it samples", lambda: studio.get(f"/v1/jobs/{job['id']}")["progress"], seconds=300)
    assert studio.ask("POST", f"/v1/jobs/{job['id']}/cancel").status in (200, 202)
    ended = until(
        "it ended",
        lambda: (now := studio.get(f"/v1/jobs/{job['id']}"))["state"] != "running" and now,
        seconds=300,
    )
    assert (ended["state"], ended["attempt"]) == ("cancelled", 1)
    done(studio, "text_to_image", {**sampled, **SMALL})


@pytest.mark.parametrize(
    "more",
    [
        {"batch": 2, "scheduler": "karras", "sampler": "dpmpp_2m"},
        {
            "loras": [{"name": "style.safetensors", "strength": 0.7, "clip_strength": 0.0}],
            "clip_skip": 2,
            "hires": {"scale": 1.5, "strength": 0.5, "steps": 1},
            "tile_px": 128,
        },
    ],
)
def test_the_graph_in_the_file_makes_the_same_picture(
    studio: Service, sampled: dict[str, Any], more: dict[str, Any]
) -> None:
    """What ComfyUI reads from the PNG is a graph of its own nodes; run by ComfyUI's own executor,
    it gives the same pixels, whatever was asked for."""
    made = done(studio, "text_to_image", {**sampled, **SMALL, **more})
    graph = json.loads(png(studio, made["images"][0]).info["prompt"])
    assert graph == made["provenance"]["graph"]
    assert not [node for node in graph.values() if node["class_type"].startswith("Kino")]
    expected = without_graph(studio, "text_to_image", {**sampled, **SMALL, **more})
    assert run_in_comfyui(studio, graph) == [leaf["reference"] for leaf in expected]


def run_in_comfyui(studio: Service, graph: dict[str, Any]) -> list[str]:
    """The pictures of a graph, its last node replaced by one that rounds instead of cutting."""
    last = next(node for node in graph.values() if node["class_type"] == "SaveImage")
    last["class_type"] = "KinoSaveAsset"
    last["inputs"] = {"name": "again", "image": last["inputs"]["images"]}
    job = studio.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    assert job["result"]["warnings"] == []
    return [leaf["reference"] for leaf in job["result"]["images"]]


def without_graph(studio: Service, verb: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """The pictures of a call in files that hold pixels and nothing else."""
    made: list[dict[str, Any]] = done(studio, verb, {**params, "embed_graph": False})["images"]
    assert "prompt" not in png(studio, made[0]).info
    return made


def test_what_changes_the_picture_changes_it(studio: Service, sampled: dict[str, Any]) -> None:
    """LoRAs by their strength, ControlNets, clip skip, sampler and scheduler each take effect, and
    a model that had a LoRA is itself again in the next run."""
    plain = {**sampled, **SMALL, "steps": 3, "embed_graph": False}

    def picture(**more: Any) -> str:
        return str(done(studio, "text_to_image", {**plain, **more})["images"][0]["reference"])

    before = picture()
    lora = {"name": "style.safetensors"}
    seen = {
        before,
        picture(loras=[lora]),
        picture(loras=[{**lora, "strength": -2.0}]),
        picture(clip_skip=3),
        picture(sampler="heun"),
        picture(scheduler="exponential"),
    }
    assert len(seen) == 6
    assert picture(loras=[{**lora, "strength": 0.0}]) == before == picture()


def test_a_controlnet_guides(studio: Service, sampled: dict[str, Any], tmp_path: Path) -> None:
    """Its picture and its strength both matter."""
    plain = {**sampled, **SMALL, "embed_graph": False}
    guide = {"name": "guide.safetensors", "image": uploaded(studio, tmp_path)}
    results = [
        done(studio, "text_to_image", {**plain, "controlnets": guides})["images"][0]["reference"]
        for guides in ([], [guide], [{**guide, "strength": 0.3}])
    ]
    assert len(set(results)) == 3


def test_a_picture_is_kept_as_far_as_asked(
    studio: Service, sampled: dict[str, Any], tmp_path: Path
) -> None:
    """With a strength near 0 a picture comes back as its VAE sees it, with 1 it is another one; it
    can be scaled on the way; and the graph in the file does the same."""
    source = uploaded(studio, tmp_path)
    base = {**sampled, "image": source, "embed_graph": False}
    kept = pixels(studio, done(studio, "image_to_image", {**base, "strength": 0.01})["images"][0])
    again = pixels(studio, done(studio, "image_to_image", {**base, "strength": 0.02})["images"][0])
    other = pixels(studio, done(studio, "image_to_image", {**base, "strength": 1.0})["images"][0])
    assert np.abs(kept - again).mean() < 0.2 * np.abs(kept - other).mean()
    wide = done(studio, "image_to_image", {**base, "width": 128, "height": 64, "batch": 2})
    assert [(leaf["width"], leaf["height"]) for leaf in wide["images"]] == [(128, 64)] * 2

    given = studio.data_dir / "comfyui" / "input" / "image.png"
    given.write_bytes(studio.ask("GET", f"/v1/assets/{source}/content").body)
    graph = wide["provenance"]["graph"]
    assert run_in_comfyui(studio, graph) == [leaf["reference"] for leaf in wide["images"]]


def test_filling_leaves_the_rest_alone(
    studio: Service, sampled: dict[str, Any], tmp_path: Path
) -> None:
    """Outside of the mask every pixel is the same bit for bit, inside it is another; and the graph
    in the file does the same."""
    source = uploaded(studio, tmp_path)
    values = np.zeros((64, 64), np.float32)
    values[16:48, 24:56] = 1.0
    path = tmp_path / "mask.png"
    Image.from_array(values).save(path)
    mask = str(studio.upload(path.read_bytes(), "mask.png")["reference"])
    params = {**sampled, "image": source, "mask": mask, "batch": 2, "embed_graph": False}
    made = done(studio, "inpaint", params)
    original = np.asarray(PIL.Image.open(tmp_path / "64x64.png")).astype(np.int16)
    for leaf in made["images"]:
        found = pixels(studio, leaf)
        assert np.array_equal(found[values == 0], original[values == 0])
        assert (found[values == 1] != original[values == 1]).any(axis=-1).mean() > 0.9

    folder = studio.data_dir / "comfyui" / "input"
    (folder / "image.png").write_bytes((tmp_path / "64x64.png").read_bytes())
    # in three channels: of a grey file the stock loader of 0.30 makes 0.996 where it is white
    PIL.Image.open(path).convert("RGB").save(folder / "mask.png")
    again = run_in_comfyui(studio, made["provenance"]["graph"])
    assert again == [leaf["reference"] for leaf in made["images"]]


def test_a_picture_becomes_four_times_as_large(studio: Service, tmp_path: Path) -> None:
    """By the model's factor, any size; the provenance names the model and tells its file."""
    source = uploaded(studio, tmp_path, 50, 30)
    made = done(studio, "upscale", {"model": "x4.safetensors", "image": source})
    assert [(leaf["width"], leaf["height"]) for leaf in made["images"]] == [(200, 120)]
    used = made["provenance"]["model"]
    assert (used["name"], used["architecture"]) == ("x4.safetensors", "ESRGAN")
    assert len(used["fingerprint"]) == 16


def test_the_provenance_makes_the_picture_again(studio: Service, sampled: dict[str, Any]) -> None:
    """The parameters that come back, sent as they are, give the same file."""
    first = done(studio, "text_to_image", {**sampled, **SMALL, "loras": [], "seed": 2**53})
    told = first["provenance"]
    assert told["model"]["architecture"] == "SD15"
    again = done(studio, "text_to_image", told["parameters"])
    assert again["images"][0]["reference"] == first["images"][0]["reference"]


def test_bad_input_names_the_field(
    studio: Service, sampled: dict[str, Any], tmp_path: Path
) -> None:
    """Each broken rule is 422 with a pointer, a rule and a sentence."""
    small = {**sampled, **SMALL}

    def text(**more: Any) -> tuple[str, str, str]:
        return refused(studio, "text_to_image", {**small, **more})

    assert text(width=100)[:2] == ("/width", "multiple_of")
    pointer, rule, told = text(sampler="eular")
    assert (pointer, rule) == ("/sampler", "unknown_sampler") and "euler" in told
    assert text(scheduler="karas")[1:] == (
        "unknown_scheduler",
        "there is no scheduler 'karas'; did you mean karras?",
    )
    pointer, rule, told = text(model="mimi.safetensors")
    assert (pointer, rule) == ("/model", "unknown_model") and "mini.safetensors" in told
    assert text(model="../checkpoints/mini.safetensors")[:2] == ("/model", "unknown_model")
    pointer, rule, told = text(model="old.ckpt")
    assert (pointer, rule) == ("/model", "pickle") and "safetensors" in told
    pointer, rule, told = text(model="damaged.safetensors")
    assert (pointer, rule) == ("/model", "unreadable_model") and "/" not in told
    lora = {"name": "style.safetensors"}
    pointer, rule, told = text(loras=[lora, {"name": "for_sdxl.safetensors"}])
    assert (pointer, rule) == ("/loras/1/name", "lora_architecture") and "SD15" in told
    guide = {"name": "guide.safetensors", "image": uploaded(studio, tmp_path), "start": 1.0}
    assert text(controlnets=[guide])[:2] == ("/controlnets/0/end", "order")
    guide = {"name": "foreign.safetensors", "image": guide["image"]}
    pointer, rule, told = text(controlnets=[guide])
    assert (pointer, rule) == ("/controlnets", "controlnet_architecture") and "SD15" in told
    odd = uploaded(studio, tmp_path, 50, 64)
    found = refused(studio, "image_to_image", {**sampled, "image": odd})
    assert found[:2] == ("/image", "multiple_of")
    mask = uploaded(studio, tmp_path, 72, 64)
    even = uploaded(studio, tmp_path)
    found = refused(studio, "inpaint", {**sampled, "image": even, "mask": mask})
    assert found[:2] == ("/mask", "size")


def test_the_operation_is_a_node(studio: Service, sampled: dict[str, Any]) -> None:
    """KinoSdxlTextToImage inside ComfyUI's executor gives the same pixels, as IMAGE, and fails with
    the operation's own error."""
    expected = without_graph(studio, "text_to_image", {**sampled, **SMALL})[0]["reference"]
    graph: dict[str, Any] = {
        "1": {"class_type": "KinoSdxlTextToImage", "inputs": {**sampled, **SMALL}},
        "2": {"class_type": "KinoSaveAsset", "inputs": {"name": "it", "image": ["1", 0]}},
    }
    job = studio.run("workflows.run", {"graph": graph})
    assert job["state"] == "succeeded", job["error"]
    assert [leaf["reference"] for leaf in job["result"]["images"]] == [expected]
    graph["1"]["inputs"]["sampler"] = "eular"
    job = studio.run("workflows.run", {"graph": graph})
    assert job["error"]["errors"][0]["pointer"] == "/graph/1/inputs/sampler"
