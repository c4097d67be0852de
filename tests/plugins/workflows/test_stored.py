"""Stored workflows with the real ComfyUI: stock nodes, their own ranges, and their refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.media.image import Image
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("comfy")

Put = Callable[[str, object], dict[str, Any]]


def node(class_type: str, title: str, /, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title}}


@pytest.fixture
def put(service: Service) -> Iterator[Put]:
    """Store workflows in the shared service; taken away at the end."""
    names = []

    def store(name: str, document: object) -> dict[str, Any]:
        answer = service.ask("PUT", f"/v1/workflows/{name}", document, seconds=300)
        assert answer.status == 201, answer.body
        names.append(name)
        found: dict[str, Any] = answer.json()
        return found

    yield store
    for name in names:
        service.ask("DELETE", f"/v1/workflows/{name}")


def pixels(service: Service, image: dict[str, Any], path: Any) -> Any:
    path.write_bytes(service.ask("GET", image["href"]).body)
    return np.round(Image.open(path).pixels * 255).astype(int)


def test_a_picture_of_stock_nodes(service: Service, put: Put, tmp_path: Any) -> None:
    """EmptyImage, inverted and saved; values go in by their parameters."""
    graph = {
        "1": node("EmptyImage", "Paper", width=64, height=32, batch_size=1, color=0),
        "2": node("ImageInvert", "Invert Image Colors", image=["1", 0]),
        "3": node("SaveImage", "Save Image", images=["2", 0], filename_prefix="stored"),
    }
    found = put("stored_paper", graph)
    types = {each["name"]: each["type"] for each in found["parameters"]}
    assert types == {
        "width": "integer", "height": "integer", "batch_size": "integer",
        "paper_color": "integer", "save_image_filename_prefix": "string",
    }  # fmt: skip
    job = service.run("workflow.stored_paper", {"width": 8, "height": 4, "paper_color": 0x00FF40})
    assert job["state"] == "succeeded", job["error"]
    made = pixels(service, job["result"]["images"][0], tmp_path / "a.png")
    assert made.shape == (4, 8, 3)
    assert np.unique(made.reshape(-1, 3), axis=0).tolist() == [[255, 0, 191]]
    too_wide = service.ask("POST", "/v1/operations/workflow.stored_paper", {"width": 10**6})
    assert too_wide.json()["errors"][0]["pointer"] == "/width"


def test_an_uploaded_picture_and_its_mask(service: Service, put: Put, tmp_path: Any) -> None:
    """What LoadImage read from a folder comes from an asset: colours, and transparency as mask."""
    graph = {
        "1": node("LoadImage", "Load Image", image="example.png"),
        "2": node("MaskToImage", "Mask", mask=["1", 1]),
        "3": node("SaveImage", "Save mask", images=["2", 0], filename_prefix="m"),
        "4": node("SaveImage", "Save colours", images=["1", 0], filename_prefix="c"),
    }
    put("stored_photo", graph)
    picture = np.zeros((2, 3, 4), np.float32)
    picture[..., 0], picture[..., 3] = 1.0, 0.2
    Image.from_array(picture, bit_depth=8).save(tmp_path / "in.png")
    asset = service.upload((tmp_path / "in.png").read_bytes(), "in.png")
    job = service.run("workflow.stored_photo", {"image": asset["reference"]})
    assert job["state"] == "succeeded", job["error"]
    named = job["result"]["nodes"]
    images = {
        node: job["result"]["images"][int(out[0].split("_")[1]) - 1] for node, out in named.items()
    }
    assert np.unique(pixels(service, images["3"], tmp_path / "m.png")).tolist() == [204]
    colours = pixels(service, images["4"], tmp_path / "c.png")
    assert np.unique(colours[..., :3].reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]


def test_a_sampler_has_the_choices_of_this_comfyui(service: Service, put: Put) -> None:
    """A text-to-image graph can be stored without its model; what is missing is told when it is
    run, with node, title, input, and the parameter."""
    graph = {
        "1": node("CheckpointLoaderSimple", "Load Checkpoint", ckpt_name="none.safetensors"),
        "2": node("CLIPTextEncode", "Positive", text="a cat", clip=["1", 1]),
        "3": node("CLIPTextEncode", "Negative", text="blurry", clip=["1", 1]),
        "4": node("EmptyLatentImage", "Latent", width=64, height=64, batch_size=1),
        "5": node(
            "KSampler", "KSampler", seed=1, steps=2, cfg=5, sampler_name="euler",
            scheduler="normal", denoise=1, model=["1", 0], positive=["2", 0],
            negative=["3", 0], latent_image=["4", 0],
        ),
        "6": node("VAEDecode", "VAE Decode", samples=["5", 0], vae=["1", 2]),
        "7": node("SaveImage", "Save Image", images=["6", 0], filename_prefix="x"),
    }  # fmt: skip
    put("stored_cat", graph)
    shown = service.get("/v1/operations/workflow.stored_cat")["schema"]["properties"]
    assert list(shown)[:5] == ["prompt", "negative_prompt", "seed", "steps", "guidance"]
    assert "dpmpp_2m_sde" in shown["sampler"]["enum"]
    assert (shown["guidance"]["minimum"], shown["guidance"]["maximum"]) == (0, 100)
    path = "/v1/operations/workflow.stored_cat?wait=120"
    (wrong,) = service.ask("POST", path, {"sampler": "eulr"}).json()["errors"]
    assert wrong["pointer"] == "/sampler"
    answer = service.ask("POST", path, {"prompt": "a dog"})
    assert answer.status == 422
    (missing,) = answer.json()["errors"]
    assert missing["pointer"] == "/load_checkpoint_ckpt_name"
    assert missing["message"].startswith(
        'node 1 (CheckpointLoaderSimple, "Load Checkpoint"), input ckpt_name: '
    )


OFFICIAL = {
    "sdxl_simple_example": {
        "prompt": ["6.text", "15.text"], "negative_prompt": ["7.text", "16.text"],
        "seed": ["10.noise_seed"], "steps": ["10.steps", "11.steps"], "width": ["5.width"],
    },
    "image_flux2": {
        "prompt": ["68:6.text"], "negative_prompt": [], "seed": ["68:25.noise_seed"],
        "guidance": ["68:26.guidance"], "sampler": ["68:16.sampler_name"], "image": ["46.asset"],
    },
    "image_qwen_image_edit_2509": {
        "prompt": ["433:111.prompt"], "negative_prompt": ["433:110.prompt"],
        "steps": ["433:436.value"], "guidance": ["433:437.value"], "image": ["78.asset"],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_templates(service: Service, name: str) -> None:
    """Two stages, a guider with a guidance of its own, and a switch over primitives, each in the
    editor's format and with ComfyUI's own definitions."""
    spec = find_spec("comfyui_workflow_templates_json")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "templates" / f"{name}.json"
    job = service.run("workflows.describe", {"workflow": json.loads(path.read_text("utf-8"))})
    assert job["state"] == "succeeded", job["error"]
    places = {
        each["name"]: [f"{place['node']}.{place['input']}" for place in each["places"]]
        for each in job["result"]["parameters"]
    }
    assert {role: places.get(role, []) for role in OFFICIAL[name]} == OFFICIAL[name]
