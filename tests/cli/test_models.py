"""`kino models`: over the service, and over this shell's folders where none answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.testing import checkpoints
from backend.testing.files import Files, Served, serving
from backend.testing.service import Service

PLUGIN = """
from backend.plugins import ModelFile, hookimpl
name = "wisher"
summary = "Wants a file."

@hookimpl
def register_models():
    return [ModelFile("wish/one", "wishes", "one.gguf", "CC0", "{url}/one.gguf")]
"""
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def web() -> Iterator[Files]:
    with serving() as files:
        files.files["/one.gguf"] = Served(b"weights")
        yield files


@pytest.fixture
def here(tmp_path: Path, web: Files) -> dict[str, Any]:
    """Settings of a shell: a data folder, and a plugin that wants a file of the web server."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "wisher.py").write_text(PLUGIN.format(url=web.url))
    return {"plugins_dir": tmp_path / "plugins", "data_dir": tmp_path / "data"}


def test_models_without_a_service(
    kino_at: Callable[[str], Any], here: dict[str, Any], tmp_path: Path
) -> None:
    """A missing file is listed, fetched by its name, and then is here; that no service answers is
    said once, beside the result."""
    kino = kino_at(NOBODY)
    before = kino.ok("models", "list", "--json", **here)
    assert "No Kino answers at http://127.0.0.1:9" in before.err
    found = {(each["kind"], each["name"]): each for each in before.json()}
    assert found["wishes", "one.gguf"]["installed"] is False
    assert found["stems", "htdemucs/955717e8.safetensors"]["licence"] == "MIT"
    path = tmp_path / "data" / "models" / "wishes" / "one.gguf"
    fetched = kino.ok("models", "download", "wish", "--json", **here)
    assert fetched.json()[0]["path"] == str(path)
    assert path.read_bytes() == b"weights"
    shown = kino.ok("models", "show", "wishes/one.gguf", "--json", **here).json()
    assert (shown["installed"], shown["size"]) == (True, 7)
    found = kino.ok("models", "search", "flux1-dev-fp8", "--missing", "--json", **here).json()
    assert found[0]["page"] == "https://huggingface.co/Comfy-Org/flux1-dev"


def test_an_address_that_was_given_must_answer(kino_at: Any, here: dict[str, Any]) -> None:
    """With --url nothing else is looked at instead."""
    ended = kino_at(NOBODY)("models", "list", "--url", NOBODY, **here)
    assert ended.status == 3


@pytest.fixture(scope="module")
def modelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("cli-models")
    models = folder / "data" / "models"
    for kind in ("checkpoints", "loras"):
        (models / kind).mkdir(parents=True)
    checkpoints.write_sd15(models / "checkpoints" / "tiny.safetensors")
    (models / "loras" / "old.pt").write_bytes(b"\x80")
    service = Service.start(folder, workers=["cpu"])
    yield service
    service.kill()


def test_models_of_the_service(kino_at: Any, modelled: Service) -> None:
    """What the service sees is listed, searched, shown and hashed, whatever this shell has."""
    kino = kino_at(modelled.url)
    listed = kino.ok("models", "list")
    assert listed.err == ""
    rows = [line.split() for line in listed.out.splitlines()]
    assert ["checkpoints", "tiny.safetensors", "here", "sd15"] in [row[:4] for row in rows]
    assert ["loras", "old.pt", "refused"] in [row[:3] for row in rows]
    found = kino.ok("models", "search", "--architecture", "sd15", "--json").json()
    assert [each["name"] for each in found] == ["tiny.safetensors"]
    assert "may hold code" in kino.ok("models", "show", "loras/old.pt").out
    shown = kino.ok("models", "show", "checkpoints/tiny.safetensors", "--hash", "--json").json()
    path = modelled.data_dir / "models" / "checkpoints" / "tiny.safetensors"
    with path.open("rb") as file:
        assert shown["sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
    assert kino("models", "show", "checkpoints/none.sft").status == 1
    assert kino("models", "show", "tiny.safetensors").status == 2
    assert kino("models", "missing", "--workflow", "nobody").status == 1


def whole(size: int = 1000) -> bytes:
    head = json.dumps({"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(head).to_bytes(8, "little") + head + b"1" * size


def test_download_by_address(kino_at: Any, modelled: Service, web: Files, tmp_path: Path) -> None:
    """With its kind, another name and a checksum; the running service sees it at once."""
    content = whole()
    web.files["/x/a.safetensors"] = Served(content)
    digest = hashlib.sha256(content).hexdigest()
    kino = kino_at(modelled.url)
    asked = ["models", "download", f"{web.url}/x/a.safetensors", "--kind", "vae"]
    same = {"data_dir": modelled.data_dir}
    refused = kino(*asked, "--sha256", "0" * 64, "--json", **same)
    assert refused.status == 1
    assert refused.json()["type"].endswith("/operation-failed")
    done = kino.ok(*asked, "--sha256", digest, "--name", "deep/mine.safetensors", **same)
    assert done.err == ""
    path = modelled.data_dir / "models" / "vae" / "deep" / "mine.safetensors"
    assert done.out.strip() == str(path) and path.read_bytes() == content
    assert modelled.get("/v1/models/vae/deep/mine.safetensors")["installed"] is True
    again = kino.ok(*asked, "--name", "deep/mine.safetensors", **same)
    assert again.out == done.out and len(web.ranges) == 2
    elsewhere = kino.ok(*asked, data_dir=tmp_path / "other")
    assert "does not see a.safetensors" in elsewhere.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody-has-this"], "nobody says where"),
        (["https://host/a.safetensors"], "needs --kind"),
        (["hf:what", "--kind", "loras"], "hf:OWNER/REPOSITORY/PATH"),
        (["htdemucs_ft", "--sha256", "0" * 64], "several files"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    kino_at: Any, modelled: Service, words: list[str], told: str, tmp_path: Path
) -> None:
    """Nothing is fetched, and the sentence says what to write."""
    ended = kino_at(modelled.url)("models", "download", *words, data_dir=tmp_path)
    assert ended.status == 2
    assert told in ended.err


def test_the_doctor_names_mistakes_in_the_folders(kino_at: Any, tmp_path: Path) -> None:
    """A YAML file that is none; nothing essential."""
    (tmp_path / "extra.yaml").write_text("a: [")
    said = kino_at(NOBODY)(
        "doctor", "--json", data_dir=tmp_path, comfyui__extra_model_paths=tmp_path / "extra.yaml"
    ).json()
    found = [each for each in said["findings"] if each["name"] == "model folders"]
    assert found[0]["state"] == "missing" and "no YAML (line 1)" in found[0]["text"]
