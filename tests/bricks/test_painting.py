"""The verbs that make pictures, in the real ComfyUI, with real models as small as can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

pytestmark = pytest.mark.xdist_group("heavy")

HERE = Path(__file__).parent
PROBES = HERE / "painting.py"
GOLDEN = HERE / "golden"


def test_sdxl_makes_the_golden_picture(painter: Any) -> None:
    """Seed and text decide; a checkpoint stays loaded; the picture is, to the last bit, the one
    that was made with this torch on this sort of CPU, and elsewhere one that looks the same."""
    seen = painter.call(PROBES, "sdxl")
    assert seen["architecture"] == "SDXL"
    assert [seen[name] for name in ("same", "seed", "text", "kept")] == [True, False, False, True]
    made = np.asarray(PIL.Image.open(painter.folder / "sdxl.png")).astype(int)
    golden = np.asarray(PIL.Image.open(GOLDEN / "sdxl.png")).astype(int)
    wrote = json.loads((GOLDEN / "sdxl.json").read_text())
    if all(painter.facts[name] == wrote[name] for name in wrote):
        assert np.array_equal(made, golden)
    assert np.abs(made - golden).mean() < 2


def test_every_sampler_and_every_scheduler_works(painter: Any) -> None:
    """All that ComfyUI lists give finite latents."""
    seen = painter.call(PROBES, "every_sampler")
    assert seen["bad"] == []
    assert seen["tried"] > 40


def test_noise_levels_of_ones_own(painter: Any) -> None:
    """The scheduler's levels by hand give what the sampler gives by itself, others something else;
    levels that do not fall are refused."""
    seen = painter.call(PROBES, "own_sigmas")
    assert (seen["levels"], seen["same"], seen["other"]) == (4, True, False)
    assert seen["rising"] == seen["one"] == seen["nan"] == [["/sigmas", "sigmas"]]


def test_names_and_files_are_checked(painter: Any) -> None:
    """Unknown names, pickles, and files that are something else, each with its rule."""
    assert painter.call(PROBES, "names") == {
        "unknown": [["/model", "unknown_model"]],
        "pickle": [["/model", "pickle"]],
        "no_model": [["/model", "unreadable_model"]],
        "no_upscaler": [["/with", "unreadable_model"]],
        "no_vae": [["/vae", "unknown_model"]],
        "no_controlnet": [["/controlnet", "unknown_model"]],
        "no_unet": [["/model", "unknown_model"]],
        "no_text": [["/text_encoders", "unknown_model"]],
        "too_many": [["/text_encoders", "count"]],
        "no_vision": [["/clip_vision", "unknown_model"]],
        "sampler": [["/sampler", "unknown_sampler"]],
    }


def test_loras(painter: Any) -> None:
    """One changes the model it is given a copy of and not the original; one of another
    architecture, by its names or by its sizes, is refused; parts without a place are told."""
    seen = painter.call(PROBES, "loras")
    assert seen["told"] == []
    before, changed, after = seen["made"]
    assert before == after != changed
    assert seen["sdxl"] == seen["sizes"] == [["/lora", "lora_architecture"]]
    assert seen["partly"] == [
        "the LoRA 'partly.safetensors': 2 of its 4 parts have no place in the model"
    ]


def test_the_smaller_verbs(painter: Any) -> None:
    """Tiles give what the whole gives, but for seams; a mask keeps what it does not cover; latents
    of all kinds have their shapes."""
    seen = painter.call(PROBES, "parts")
    assert seen["encoded"] == [[1, 4, 8, 16]] * 2
    assert seen["decoded"] == [[1, 64, 128, 3]] * 2
    assert seen["seams"] < 0.1
    assert seen["kept"] < 1e-4 < seen["new"]
    assert (seen["batch"], seen["larger"]) == ([3, 4, 8, 8], [1, 4, 12, 12])
    assert (seen["both"], seen["nothing"]) == (2, 0.0)
    assert seen["kinds"] == {"sd": [2, 4, 8, 8], "sd3": [2, 16, 8, 8], "flux2": [2, 128, 4, 4]}
    assert seen["video"] == [1, 128, 2, 2, 2]
    assert {"hunyuan_image", "chroma_radiance", "mochi", "cosmos"} <= set(seen["all_kinds"])


def test_memory_that_runs_out(painter: Any) -> None:
    """A verb is tried once more, with every model unloaded; if that does not help, the error is
    ours, after two attempts. Other errors are not taken for it."""
    seen = painter.call(PROBES, "memory")
    assert seen["once"][0] == "fed"
    before, after = seen["once"][1]
    assert before > 0 == after
    assert seen["always"] == ["OutOfMemory", 2]
    assert painter.call(PROBES, "alone") is False


def test_a_sampler_is_seen_and_can_be_stopped(painter: Any) -> None:
    """Each step and a preview reach the context; a context that is cancelled ends the run within a
    step, and leaves nothing behind."""
    seen = painter.call(PROBES, "progress")
    assert seen["steps"] == [[1, 3], [2, 3], [3, 3]]
    assert seen["shown"] and all(each[2] == 3 for each in seen["shown"])
    assert (seen["ended"], seen["lane_free"], seen["flag"]) == ("cancelled", True, False)
    assert seen["after"] <= 5


def test_a_recording_is_a_graph(painter: Any) -> None:
    """Verbs become nodes and values links; where a value comes from nowhere, it says so; outside of
    the block nothing is written down."""
    seen = painter.call(PROBES, "recorded")
    graph = seen["graph"]
    assert [node["class_type"] for node in graph.values()] == [
        "CheckpointLoaderSimple",
        "CLIPTextEncode",
        "CLIPTextEncode",
        "EmptyLatentImage",
        "KSampler",
    ]
    inputs = graph["5"]["inputs"]
    assert (inputs["model"], inputs["positive"]) == (["1", 0], ["2", 0])
    assert (inputs["latent_image"], inputs["seed"]) == (["4", 0], 5)
    assert (seen["whole"], seen["torn"]) == ([True, False], 2)
