"""Pictures that were made before: given again while the model is the same, made anew when not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.testing import checkpoints
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("sdxl")


@pytest.fixture(scope="module")
def models_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own_models")
    checkpoints.write_sd15(folder / "checkpoints" / "mini.safetensors")
    return folder


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, models_here: Path) -> Iterator[Service]:
    """A service with the cache and a model of its own, which a test may replace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Service.start(
            tmp_path_factory.mktemp("gallery"), workers=["comfy"], cache=True,
            comfyui__models_dir=models_here,
        )  # fmt: skip
    try:
        made.wait_ready()
        yield made
    finally:
        made.kill()


def graph(seed: int, **more: Any) -> dict[str, Any]:
    """A graph of steady stock nodes that makes one small picture."""
    text = {"clip": ["model", 1], "text": "a red cat"}
    return {
        "model": {"class_type": "CheckpointLoaderSimple",
                  "inputs": {"ckpt_name": "mini.safetensors"}},
        "words": {"class_type": "CLIPTextEncode", "inputs": text},
        "empty": {"class_type": "EmptyLatentImage",
                  "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "made": {"class_type": "KSampler",
                 "inputs": {"model": ["model", 0], "positive": ["words", 0],
                            "negative": ["words", 0], "latent_image": ["empty", 0], "seed": seed,
                            "steps": 1, "cfg": 1.0, "sampler_name": "euler",
                            "scheduler": "normal", "denoise": 1.0}},
        "seen": {"class_type": "VAEDecode", "inputs": {"samples": ["made", 0],
                                                       "vae": ["model", 2]}},
        "saved": {"class_type": "SaveImage",
                  "inputs": {"images": ["seen", 0], "filename_prefix": "cat"}},
        **more,
    }  # fmt: skip


def picture(service: Service, operation: str, params: dict[str, Any]) -> tuple[bool, bytes]:
    """Whether it was there already, and its bytes."""
    job = service.run(operation, params)
    assert job["state"] == "succeeded", job["error"]
    leaf = job["result"]["images"][0]
    return job["cached"], service.ask("GET", leaf["href"]).body


def test_a_picture_is_given_again_until_its_model_is_replaced(
    gallery: Service, models_here: Path
) -> None:
    """The same call twice is one run, as an operation, as a graph and as a stored workflow; another
    seed is another run, and so is another file under the model's name: with other pictures."""
    stored = gallery.ask("PUT", "/v1/workflows/cat", json.dumps(graph(1)).encode(), headers={
        "Content-Type": "application/json",
    })  # fmt: skip
    assert stored.status == 201, stored.body
    calls: list[tuple[str, dict[str, Any]]] = [
        ("sdxl.text_to_image", {"model": "mini.safetensors", "prompt": "a red cat", "steps": 1,
                                "width": 64, "height": 64, "embed_graph": False}),
        ("workflows.run", {"graph": graph(1)}),
        ("workflow.cat", {}),
    ]  # fmt: skip
    before = {}
    for name, params in calls:
        cached, before[name] = picture(gallery, name, params)
        assert not cached
        assert picture(gallery, name, params) == (True, before[name])
    assert not picture(gallery, "workflows.run", {"graph": graph(2)})[0]
    model = models_here / "checkpoints" / "mini.safetensors"
    model.unlink()
    checkpoints.write_sd15(model, seed=5)
    for name, params in calls:
        cached, data = picture(gallery, name, params)
        assert not cached
        assert data != before[name], name
        assert picture(gallery, name, params) == (True, data)


def test_a_graph_with_an_unknown_node_is_run_each_time(gallery: Service) -> None:
    """A node that is not known to be steady, or a text that brings in an embedding."""
    shown = {"class_type": "PreviewAny", "inputs": {"source": ["words", 0]}}
    embedded = graph(3)
    embedded["words"]["inputs"]["text"] = "embedding:nothing"
    for made in (graph(3, shown=shown), embedded):
        for _ in range(2):
            assert not picture(gallery, "workflows.run", {"graph": made})[0]
