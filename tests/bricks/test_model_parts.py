"""Model files that hold one part each, in the real ComfyUI; and Flux, which is made of four."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("heavy")

PROBES = Path(__file__).parent / "parts.py"


def test_a_picture_by_parts(painter: Any) -> None:
    """A diffusion model, a text encoder and a VAE from a file each make a picture that depends on
    its text; ComfyUI takes them for what they are."""
    seen = painter.call(PROBES, "whole")
    assert seen["architecture"] == "SD15"
    assert (seen["same"], seen["text"], seen["shape"]) == (True, False, [1, 64, 64, 3])
    assert seen["spread"] > 0.01


def test_an_image_encoder_sees(painter: Any) -> None:
    """CLIP ViT-L/14's shapes; what lies beyond the cut does not count, and does if squeezed."""
    seen = painter.call(PROBES, "seen")
    assert seen["shapes"] == [[1, 257, 1024], [1, 768]]
    assert seen["same"] is False
    assert seen["spread"] > 0


def test_latents_of_every_kind(painter: Any) -> None:
    """Pictures, video, sound and 3D shapes, each as its models want it."""
    seen = painter.call(PROBES, "kinds")
    assert seen["shapes"] == {
        "sd": [2, 4, 8, 8],
        "sd3": [2, 16, 8, 8],
        "flux2": [2, 128, 4, 4],
        "hunyuan_image": [2, 64, 2, 2],
        "chroma_radiance": [2, 3, 64, 64],
        "hidream_o1": [2, 3, 64, 64],
        "qwen_layered": [2, 16, 4, 8, 8],
        "ltxv": [1, 128, 2, 2, 2],
        "hunyuan": [1, 16, 3, 8, 8],
        "hunyuan_15": [1, 32, 3, 4, 4],
        "mochi": [1, 12, 2, 8, 8],
        "cosmos": [1, 16, 2, 8, 8],
        "autoregressive": [1, 16, 3, 8, 8],
        "stable_audio": [1, 64, 216],
        "ace": [1, 8, 16, 107],
        "ace_15": [1, 64, 250],
        "hunyuan_3d": [1, 64, 16],
    }
    assert sorted(seen["known"]) == sorted(seen["shapes"])


def test_an_upscaler_may_be_a_pickle_of_tensors(painter: Any) -> None:
    """A ``.pth`` gives what the same weights in safetensors give; one that holds code is refused,
    and its code does not run. No other kind of model may be a pickle."""
    seen = painter.call(PROBES, "pickles")
    assert seen == {
        "same": True,
        "bomb": ["/model", "unreadable_model"],
        "exploded": False,
        "others": ["/model", "pickle"],
    }


def test_a_graph_says_which_old_file_it_cannot_load(painter: Any) -> None:
    """ComfyUI's own loader reads a ``.pth`` of tensors, the oldest too. One that holds code, and
    one that is none, are refused at the input that names them, before the graph runs where it
    shows; the code does not run."""
    seen = painter.call(PROBES, "old_files")
    for name in ("good", "old_2", "old_3"):
        assert seen.pop(name) == [32, 32, 3], name
    assert seen.pop("exploded") is False
    start = "node 1 (UpscaleModelLoader), input model_name: "
    for name, why in {
        "code": "holds code that would run while it is read (posix.mkdir)",
        "early": "is damaged, or holds what is no tensor, and cannot be loaded",
        "other": "is no file of tensors",
    }.items():
        told = f"{start}'{name}.pth' {why}; convert it to safetensors"
        error = ["/graph/1/inputs/model_name", "pickle", told]
        assert seen[name] == ["invalid-parameters", error]


def test_flux_runs_both_of_its_workflows(painter: Any) -> None:
    """ComfyUI makes out a Flux one head wide, and both shipped workflows run with it; the seed
    decides. Only their text encoders come from a loader of this test."""
    seen = painter.call(PROBES, "flux")
    for name in ("text-to-image-flux", "image-to-image-flux"):
        first, again, other = seen[name]["made"]
        assert seen[name]["warnings"] == []
        assert first[0] == [64, 64, 3]
        assert first == again != other
        assert first[2] > 0.005
