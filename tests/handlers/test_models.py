"""Model files over HTTP: list, search, details, hashes, and what workflows still miss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from backend.handlers import shapes
from backend.testing import checkpoints
from backend.testing.service import Service, until

PLUGIN = """
from backend.plugins import ModelFile, hookimpl
name = "wisher"
summary = "Wants a file."

@hookimpl
def register_models():
    return [
        ModelFile(
            "wish/one", "wishes/deep", "one.safetensors", "CC0", "https://host/one", "ab" * 32
        ),
        ModelFile("wish/lora", "loras", "line.safetensors", "MIT", "https://host/line"),
    ]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("models-over-http")
    models, two = here / "models", here / "second"
    for folder in (models / "checkpoints" / "deep er", models / "loras", two / "upscale_models"):
        folder.mkdir(parents=True)
    checkpoints.write_sd15(models / "checkpoints" / "deep er" / "ä #1.safetensors")
    (models / "checkpoints" / "old.ckpt").write_bytes(b"\x80\x02.")
    (models / "checkpoints" / "page.safetensors").write_bytes(b"<html>Please log in</html>")
    checkpoints.write_lora(models / "loras" / "line.safetensors")
    checkpoints.write_upscaler(two / "upscale_models" / "big.safetensors")
    (two / "upscale_models" / "x4.pth").write_bytes(b"PK")
    (here / "wisher.py").write_text(PLUGIN)
    (here / "bad.yaml").write_text("a:\n  loras: nowhere\n")
    return here


@pytest.fixture(scope="module")
def modelled(place: Path) -> Iterator[Service]:
    """A service that stands before two roots, a plugin that wants files, and a YAML file."""
    (place / "plugins").mkdir()
    (place / "wisher.py").rename(place / "plugins" / "wisher.py")
    service = Service.start(
        place / "service",
        workers=["cpu"],
        plugins_dir=place / "plugins",
        comfyui__models_dir=place / "models",
        comfyui__model_roots=[str(place / "second")],
        comfyui__extra_model_paths=place / "bad.yaml",
    )
    yield service
    service.kill()


def names(service: Service, query: str) -> list[str]:
    return [item["name"] for item in service.get(f"/v1/models?{query}")["items"]]


DEEP = "/v1/models/checkpoints/" + quote("deep er/ä #1.safetensors")


def test_what_is_here_is_listed_with_what_it_is(modelled: Service) -> None:
    """Files of all roots: type and architecture from their headers, or why they are refused."""
    page = modelled.get("/v1/models?installed=true")
    shapes.ModelPage.model_validate(page)
    told = {item["name"]: item for item in page["items"]}
    assert list(told) == [
        *("deep er/ä #1.safetensors", "old.ckpt", "page.safetensors"),
        *("line.safetensors", "big.safetensors", "x4.pth"),
    ]
    deep = told["deep er/ä #1.safetensors"]
    assert (deep["type"], deep["architecture"], deep["root"]) == ("checkpoint", "sd15", "models")
    assert deep["parts"] == ["text_encoder", "vae"]
    assert modelled.get(deep["links"]["self"])["name"] == deep["name"]
    assert "refused" in told["x4.pth"] and told["x4.pth"]["refused"] is None  # tensors only
    assert told["old.ckpt"]["refused"]["rule"] == "pickle"
    assert "may hold code" in told["old.ckpt"]["refused"]["reason"]
    assert told["page.safetensors"]["refused"]["rule"] == "unreadable_model"
    assert "no safetensors file" in told["page.safetensors"]["refused"]["reason"]
    assert (told["big.safetensors"]["type"], told["big.safetensors"]["root"]) == (
        "upscaler", "root-1",
    )  # fmt: skip
    line = told["line.safetensors"]
    assert (line["licence"], line["wanted_by"]) == ("MIT", ["wish/lora"])


def test_no_answer_holds_a_path(modelled: Service, place: Path) -> None:
    """Clients see labels of roots; neither lists nor details nor problems name a folder."""
    for path in ("/v1/models", DEEP, "/v1/system", "/v1/models/checkpoints/nothing"):
        assert str(place) not in modelled.ask("GET", path).body.decode()


def test_search(modelled: Service) -> None:
    """By words, kind, architecture, presence and who wants it."""
    assert names(modelled, "q=LINE") == ["line.safetensors"]
    assert names(modelled, "q=wish&installed=false") == ["deep/one.safetensors"]
    assert names(modelled, "kind=upscale_models&installed=true") == ["big.safetensors", "x4.pth"]
    assert names(modelled, "architecture=sd15") == ["deep er/ä #1.safetensors", "line.safetensors"]
    assert names(modelled, "source=plugin&kind=wishes") == ["deep/one.safetensors"]
    assert names(modelled, "q=flux1-dev-fp8+checkpoint&source=catalogue") == []
    assert names(modelled, "q=flux1-dev-fp8&kind=checkpoints") == ["flux1-dev-fp8.safetensors"]


def test_missing_files_say_where_to_get_them(modelled: Service) -> None:
    """A plugin's with licence and checksum, the catalogue's with address and publisher's page."""
    [one] = modelled.get("/v1/models?installed=false&kind=wishes")["items"]
    assert (one["url"], one["licence"], one["sha256"]) == ("https://host/one", "CC0", "ab" * 32)
    [flux] = modelled.get("/v1/models?q=flux1-dev-fp8&kind=checkpoints")["items"]
    assert flux["url"].startswith("https://huggingface.co/Comfy-Org/flux1-dev/resolve/main/")
    assert flux["page"] == "https://huggingface.co/Comfy-Org/flux1-dev"
    assert flux["wanted_by"][0].startswith("template:")
    listed = modelled.get("/v1/models?source=catalogue&limit=200")["items"]
    assert len(listed) > 150
    assert {item["url"].split("/")[2] for item in listed} == {"huggingface.co"}
    assert not any("/blob/" in item["url"] or "?" in item["url"] for item in listed)


def test_pages_hold_everything_once(modelled: Service) -> None:
    """Pages of seven hold what pages of two hundred hold, in the same order."""

    def walk(limit: int) -> list[tuple[str, str]]:
        found, cursor = [], ""
        while True:
            page = modelled.get(f"/v1/models?limit={limit}{cursor}")
            found += [(item["kind"], item["name"]) for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            assert len(page["items"]) == limit
            cursor = f"&cursor={quote(page['next_cursor'])}"

    whole = walk(200)
    assert walk(7) == whole
    assert len(set(whole)) == len(whole) > 200


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("kind=checkpoint", "/query/kind"),
        ("cursor=abc", "/query/cursor"),
        ("cursor=W10=", "/query/cursor"),
        ("installed=perhaps", "/query/installed"),
        ("source=web", "/query/source"),
        ("limit=0", "/query/limit"),
        ("path=/etc", "/query/path"),
    ],
)
def test_a_wrong_question_is_named(modelled: Service, query: str, pointer: str) -> None:
    """422 with a pointer to the parameter."""
    answer = modelled.ask("GET", f"/v1/models?{query}")
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "path",
    ["checkpoints/none.safetensors", "nothing/a.safetensors", "checkpoints/..%2F..%2Fbad.yaml",
     "loras/..%2Fcheckpoints%2Fold.ckpt", "checkpoints/%00", "..%2Fmodels/checkpoints%2Fold.ckpt"],
)  # fmt: skip
def test_unknown_models_are_404(modelled: Service, path: str) -> None:
    """Also for names that would lead out of the folder; hashes are refused the same way."""
    for method, end in (("GET", ""), ("POST", "/hash"), ("DELETE", "/hash")):
        answer = modelled.ask(method, f"/v1/models/{path}{end}")
        assert answer.status == 404, answer.body
        assert answer.json()["type"].endswith("/unknown-name")


def test_details_and_hash(modelled: Service, place: Path) -> None:
    """The SHA-256 is absent, then worked out, then remembered, until the file changes."""
    path = place / "models" / "loras" / "hashed.safetensors"
    checkpoints.write_lora(path)
    one = "/v1/models/loras/hashed.safetensors"
    before = modelled.get(one)
    shapes.ModelDetails.model_validate(before)
    assert before["hash"] == {"state": "absent"} and before["sha256"] is None
    answer = modelled.ask("POST", f"{one}/hash?wait=120")
    assert answer.status == 200
    assert answer.json()["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert modelled.get(one)["sha256"] == answer.json()["sha256"]
    assert modelled.get("/v1/models?q=hashed")["items"][0]["sha256"] == answer.json()["sha256"]
    checkpoints.write_lora(path, seed=7)
    assert modelled.get(one)["sha256"] is None
    path.unlink()


def test_a_long_hash_tells_how_far_it_is_and_can_be_stopped(modelled: Service, place: Path) -> None:
    """A file of 64 GiB (a hole): 202 with bytes that grow, others are answered, then it is over."""
    path = place / "models" / "vae" / "huge.safetensors"
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.truncate(64 << 30)
    one = "/v1/models/vae/huge.safetensors"
    try:
        answer = modelled.ask("POST", f"{one}/hash")
        assert answer.status == 202 and answer.json()["total_bytes"] == 64 << 30
        until("it moves", lambda: modelled.get(one)["hash"].get("done_bytes"), seconds=300)
        assert modelled.get(one)["hash"]["state"] == "running"
        other = modelled.ask("POST", "/v1/models/loras/line.safetensors/hash").json()
        assert other["state"] == "waiting"  # one at a time
        assert modelled.ask("DELETE", f"{one}/hash").status == 204
        assert modelled.get(one)["hash"] == {"state": "absent"}
        told = modelled.ask("POST", "/v1/models/loras/line.safetensors/hash?wait=120").json()
        assert told["state"] == "done"
    finally:
        path.unlink()


def test_the_system_says_what_is_wrong_with_folders(modelled: Service) -> None:
    """The roots by their labels, and the mistake in the YAML file; the service runs though."""
    said = modelled.get("/v1/system")["models"]
    assert said["roots"] == ["models", "root-1", "own"]
    [problem] = said["problems"]
    assert problem["setting"] == "KINO_COMFYUI__EXTRA_MODEL_PATHS"
    assert "the folder of loras does not exist" in problem["reason"]
    assert "model folders" in modelled.log.read_text()


GRAPH = {
    "1": {"class_type": "CheckpointLoaderSimple",
          "inputs": {"ckpt_name": "flux1-schnell-fp8.safetensors"}},
    "2": {"class_type": "LoraLoaderModelOnly",
          "inputs": {"model": ["1", 0], "lora_name": "line.safetensors", "strength_model": 1.0}},
    "3": {"class_type": "SaveLatent", "inputs": {"filename_prefix": "nobody.txt"}},
    "4": {"class_type": "AnyPackLoader", "inputs": {"weights": "sub/unheard.safetensors"}},
    "5": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "mine.pth"}},
}  # fmt: skip
NODES = [
    {"id": 5, "type": "UpscaleModelLoader", "properties": {"models": [
        {"name": "mine.pth", "directory": "upscale_models", "url": "https://host/mine.pth",
         "hash": "CD" * 32, "hash_type": "SHA256"}, {"name": 3}, "x",
        {"name": "line.safetensors", "directory": "loras", "url": "https://[no address"},
    ]}},
]  # fmt: skip


def test_a_workflow_says_which_files_it_misses(
    launch: Callable[..., Service], place: Path, tmp_path: Path
) -> None:
    """With where to get them: from the catalogue, from its own document, or from nobody."""
    import sqlite3

    first = launch(folder=tmp_path / "s", comfyui__models_dir=place / "models")
    first.stop()
    with sqlite3.connect(first.data_dir / "kino.db") as ledger:
        ledger.execute(
            "INSERT INTO workflow (name, version, original, format, graph, parameters, warnings,"
            " created) VALUES ('mine', 1, ?, 'editor', ?, '[]', '[]', 0)",
            (json.dumps({"nodes": NODES}).encode(), json.dumps(GRAPH)),
        )
    ledger.close()
    service = launch(folder=tmp_path / "s", comfyui__models_dir=place / "models")
    workflow = service.get("/v1/workflows/mine")
    shapes.Workflow.model_validate(workflow)
    missing = {item["node"]: item for item in workflow["missing_models"]}
    assert missing.keys() == {"1", "4", "5"}
    assert missing["1"]["kind"] == "checkpoints"
    assert "flux1-schnell" in missing["1"]["url"] and missing["1"]["input"] == "ckpt_name"
    assert (missing["4"]["kind"], missing["4"]["url"]) == (None, None)
    assert (missing["5"]["url"], missing["5"]["sha256"]) == ("https://host/mine.pth", "cd" * 32)
    listed: Any = service.get("/v1/models?source=workflow&installed=false")["items"]
    assert {item["name"] for item in listed} == {
        *("flux1-schnell-fp8.safetensors", "sub/unheard.safetensors", "mine.pth"),
    }
    assert listed[0]["wanted_by"][0] == "workflow.mine"
