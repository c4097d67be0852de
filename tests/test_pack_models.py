"""Results of equal work where packs of nodes bring folders of model files, with the real ComfyUI;
and the names that packs add to ComfyUI's.

Knows: a pack of ours that puts a folder before all others, adds a kind of its own, adds one more
folder while a graph runs, and adds a sampler and a scheduler.
Does not know: how work is told to be equal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.testing import checkpoints
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("custom-nodes")

PACK = """
from pathlib import Path

import comfy.samplers
import folder_paths

comfy.samplers.KSampler.SAMPLERS.append("pack_sampler")
comfy.samplers.KSampler.SCHEDULERS.append("pack_scheduler")

HERE = Path(__file__).parent
folder_paths.add_model_folder_path("upscale_models", str(HERE / "first"), is_default=True)
folder_paths.folder_names_and_paths["scrolls"] = ([str(HERE / "scrolls")], {".txt"})


class FoldersLate:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "run", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def run(self):
        folder_paths.add_model_folder_path("upscale_models", str(HERE / "late"), is_default=True)
        return {"ui": {"text": ["added"]}}


class FoldersScroll:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE = ("STRING",), "run", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"scroll": (folder_paths.get_filename_list("scrolls"),)}}

    def run(self, scroll):
        text = Path(folder_paths.get_full_path("scrolls", scroll)).read_text()
        return {"ui": {"text": [text]}, "result": (text,)}


NODE_CLASS_MAPPINGS = {"FoldersLate": FoldersLate, "FoldersScroll": FoldersScroll}
"""
GRAPH = {
    "1": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "up.safetensors"}},
    "2": {"class_type": "EmptyImage",
          "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0x4080C0}},
    "3": {"class_type": "ImageUpscaleWithModel",
          "inputs": {"upscale_model": ["1", 0], "image": ["2", 0]}},
    "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "up"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack's folder, with a model of its own and a text."""
    place = tmp_path_factory.mktemp("custom_nodes") / "folders"
    for name in ("first", "late", "scrolls"):
        (place / name).mkdir(parents=True)
    (place / "__init__.py").write_text(PACK)
    checkpoints.write_upscaler(place / "first" / "up.safetensors", seed=1)
    (place / "scrolls" / "one.txt").write_text("before")
    return place


@pytest.fixture(scope="module")
def service(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The one boot; the settings' own folder has a file of the same name."""
    folder = tmp_path_factory.mktemp("service")
    own = folder / "models" / "upscale_models"
    own.mkdir(parents=True)
    checkpoints.write_upscaler(own / "up.safetensors", seed=2)
    made = Service.start(
        folder,
        workers=["comfy"],
        cache=True,
        comfyui__models_dir=own.parent,
        comfyui__custom_nodes_dir=pack.parent,
        comfyui__custom_nodes=["folders"],
    )
    try:
        made.wait_ready()
        yield made
    finally:
        made.kill()


def run(service: Service, graph: dict[str, Any]) -> Any:
    job = service.run("workflows.run", {"graph": graph}, seconds=300)
    assert job["state"] == "succeeded", job["error"]
    return job


def picture(job: Any) -> str:
    return str(job["result"]["images"][0]["reference"])


def swap(path: Path, seed: int) -> None:
    """Another model under the same name, at another time."""
    new = checkpoints.write_upscaler(path.with_name("new.safetensors"), seed=seed)
    new.replace(path)
    os.utime(path, (time.time() + seed, time.time() + seed))


def test_a_swapped_file_in_a_pack_s_folder_is_other_work(service: Service, pack: Path) -> None:
    """ComfyUI takes the pack's file before the one of the settings: its content counts."""
    first = run(service, GRAPH)
    again = run(service, GRAPH)
    assert (first["cached"], again["cached"]) == (False, True)
    swap(pack / "first" / "up.safetensors", 3)
    other = run(service, GRAPH)
    assert not other["cached"]
    assert picture(other) != picture(first)
    assert run(service, GRAPH)["cached"]


def test_a_folder_that_a_node_adds_while_it_runs_counts_at_once(
    service: Service, pack: Path
) -> None:
    """What the worker says after each run is believed before the next job is looked at."""
    before = run(service, GRAPH)
    checkpoints.write_upscaler(pack / "late" / "up.safetensors", seed=4)
    assert run(service, GRAPH)["cached"]  # nobody looks there yet
    run(service, {"1": {"class_type": "FoldersLate", "inputs": {}}})
    after = run(service, GRAPH)
    assert not after["cached"]
    assert picture(after) != picture(before)
    swap(pack / "late" / "up.safetensors", 5)
    assert not run(service, GRAPH)["cached"]


def test_a_kind_of_a_pack_s_own_is_never_taken_from_an_earlier_job(
    service: Service, pack: Path
) -> None:
    """Nobody knows what its node reads: it runs each time."""
    graph = {"1": {"class_type": "FoldersScroll", "inputs": {"scroll": "one.txt"}}}
    assert run(service, graph)["result"]["text"] == ["before"]
    time.sleep(0.01)
    (pack / "scrolls" / "one.txt").write_text("behind")
    job = run(service, graph)
    assert (job["cached"], job["leader"]) == (False, None)


def test_names_that_a_pack_adds_are_known(service: Service) -> None:
    """A sampler and a scheduler of a pack are accepted where ComfyUI's own are."""
    asked = {"prompt": "x", "model": "none.safetensors", "sampler": "pack_sampler"}
    asked["scheduler"] = "pack_scheduler"
    answer = service.ask("POST", "/v1/operations/sdxl.text_to_image", asked)
    assert answer.status == 422, answer.body
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/model"]
