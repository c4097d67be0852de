"""One picture through HTTP, the command line and MCP; what its provenance names; a whole SDXL."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from mcp.client.client import Client

from backend.media.image import Image
from backend.media.reference import reference_of
from backend.media.weights import fingerprint
from backend.testing import checkpoints
from backend.testing.service import Service, environment

pytestmark = pytest.mark.xdist_group("sdxl")

SMALL = {"width": 64, "height": 64}


def done(studio: Service, operation: str, params: dict[str, Any]) -> dict[str, Any]:
    job = studio.run(operation, params)
    assert job["state"] == "succeeded", job["error"]
    result: dict[str, Any] = job["result"]
    return result


async def test_every_door_gives_the_same_file(
    studio: Service, sampled: dict[str, Any], tmp_path: Path
) -> None:
    """One call through HTTP, `kino run` and an MCP client: one content reference."""
    params = {**sampled, **SMALL, "seed": 11}
    expected = done(studio, "sdxl.text_to_image", params)["images"][0]
    words = [f"--{name.replace('_', '-')}={value}" for name, value in params.items()]
    ran = subprocess.run(
        [Path(sys.executable).with_name("kino"), "run", "sdxl.text_to_image", *words, "--output=."],
        env=environment({"url": studio.url}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (written,) = tmp_path.glob("*.png")
    assert reference_of(written) == expected["reference"]
    async with Client(studio.url + "/mcp") as client:
        called = await client.call_tool("sdxl_text_to_image", params)
    assert called.is_error is False
    assert called.structured_content["images"][0]["reference"] == expected["reference"]


def test_the_provenance_names_pictures_and_files(
    studio: Service, sampled: dict[str, Any], models: Path, tmp_path: Path
) -> None:
    """The pictures that came in, by their references, and the fingerprint of every model file."""
    pictures = []
    for name, value in (("a", 0.2), ("b", 0.8), ("mask", 1.0)):
        path = tmp_path / f"{name}.png"
        Image.from_array(np.full((64, 64, 3 if name != "mask" else 1), value, "f4")).save(path)
        pictures.append(str(studio.upload(path.read_bytes(), path.name)["reference"]))
    params = {
        **sampled,
        "image": pictures[0],
        "mask": pictures[2],
        "loras": [{"name": "style.safetensors"}],
        "controlnets": [{"name": "guide.safetensors", "image": pictures[1]}],
    }
    told = done(studio, "sdxl.inpaint", params)["provenance"]
    assert told["inputs"] == {
        "/image": pictures[0], "/mask": pictures[2], "/controlnets/0/image": pictures[1],
    }  # fmt: skip
    used = {each["name"]: each["fingerprint"] for each in (told["model"], *told["additions"])}
    assert used == {
        "mini.safetensors": fingerprint(models / "checkpoints" / "mini.safetensors"),
        "style.safetensors": fingerprint(models / "loras" / "style.safetensors"),
        "guide.safetensors": fingerprint(models / "controlnet" / "guide.safetensors"),
    }
    assert len(set(used.values())) == 3


def test_sdxl_with_its_whole_text_encoders(
    studio: Service, sampled: dict[str, Any], models: Path
) -> None:
    """A checkpoint whose text encoders have SDXL's own size makes a picture through ComfyUI's stock
    loader, which can be told of no other."""
    path = checkpoints.write_sdxl(models / "checkpoints" / "sdxl.safetensors")
    names = {"sampler": "euler", "scheduler": "normal"}
    params = {**sampled, **SMALL, **names, "model": "sdxl.safetensors", "steps": 1}
    made = done(studio, "workflow.text_to_image", params)["images"][0]
    pixels = np.asarray(PIL.Image.open(io.BytesIO(studio.ask("GET", made["href"]).body)))
    assert pixels.shape == (64, 64, 3)
    assert pixels.std() > 1
    path.unlink()
