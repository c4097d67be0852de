"""What is wrong with a picture that is asked for, by operation and by workflow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from backend.testing.service import Service, until

pytestmark = pytest.mark.xdist_group("sdxl")

SDXL = "/v1/operations/sdxl.text_to_image?wait=120"
TEXT = "/v1/operations/workflow.text_to_image?wait=120"
RUN = "/v1/operations/workflows.run?wait=120"
STORE = "/v1/workflows/refused"
PICTURE: dict[str, Any] = {
    "model": "mini.safetensors", "prompt": "a cat", "width": 64, "height": 64, "steps": 1,
}  # fmt: skip
ENDLESS = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "mini.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
    "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512}},
    "4": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0],
            "latent_image": ["3", 0], "seed": 1, "steps": 10000, "cfg": 8.0, "denoise": 1.0,
            "sampler_name": "euler", "scheduler": "normal",
        },
    },
    "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
    "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "x"}},
}  # fmt: skip
LOADS_OLD = {
    **ENDLESS,
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "old.ckpt"}},
}
MISSING = {
    "nodes": [
        {"id": n, "type": kind, "inputs": [], "outputs": []}
        for n, kind in enumerate(("PackBlur", "PackGlow", "PackBlur"))
    ],
    "links": [],
}
LARGE = {"1": {"class_type": "PreviewAny", "inputs": {"source": "x" * 5_000_000}}}


@dataclass(frozen=True)
class Wrong:
    """A request, and what must be said of it: status, problem, pointers with rules, words."""

    name: str
    path: str
    body: Any
    status: int = 422
    slug: str = "invalid-parameters"
    errors: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


WRONG = (
    Wrong("sampler", SDXL, {**PICTURE, "sampler": "eular"},
          errors=(("/sampler", "unknown_sampler"),), words=("euler",)),
    Wrong("sampler of a workflow", TEXT, {**PICTURE, "sampler": "eular"},
          errors=(("/sampler", "literal_error"),), words=("euler",)),
    Wrong("size", SDXL, {**PICTURE, "width": 100}, errors=(("/width", "multiple_of"),)),
    Wrong("size of a workflow", TEXT, {**PICTURE, "width": 8},
          errors=(("/width", "greater_than_equal"),)),
    Wrong("LoRA of SDXL", SDXL, {**PICTURE, "loras": [{"name": "for_sdxl.safetensors"}]},
          errors=(("/loras/0/name", "lora_architecture"),), words=("SD15",)),
    Wrong("pickle", SDXL, {**PICTURE, "model": "old.ckpt"},
          errors=(("/model", "pickle"),), words=("safetensors",)),
    Wrong("pickle in a workflow", TEXT, {**PICTURE, "model": "old.ckpt"},
          errors=(("/model", "pickle"),), words=("CheckpointLoaderSimple", "safetensors")),
    Wrong("pickle in a graph", RUN, {"graph": LOADS_OLD},
          errors=(("/graph/1/inputs/ckpt_name", "pickle"),),
          words=("CheckpointLoaderSimple", "safetensors")),
    Wrong("pickle in a stock client's prompt", "/comfy/prompt", {"prompt": LOADS_OLD}, 400,
          "request-refused", errors=(("/prompt/1/inputs/ckpt_name", "pickle"),),
          words=('"node_errors": {"1":', '"input_name": "ckpt_name"', "safetensors")),
    Wrong("no such model", TEXT, {**PICTURE, "model": "nothing.safetensors"},
          errors=(("/model", "value_not_in_list"),), words=("CheckpointLoaderSimple",)),
    Wrong("missing nodes", STORE, MISSING,
          errors=(("/0/class_type", "unknown_node"), ("/1/class_type", "unknown_node")),
          words=("'PackBlur' (nodes 0, 2)", "'PackGlow' (node 1)")),
    Wrong("endless graph", RUN, {"graph": ENDLESS}, 504, "deadline-exceeded",
          headers={"Kino-Timeout": "2"}),
    Wrong("5 MB workflow", STORE, LARGE, 413, "request-refused"),
    Wrong("no time", SDXL, PICTURE, errors=(("/headers/Kino-Timeout", "greater_than"),),
          headers={"Kino-Timeout": "0"}),
)  # fmt: skip


@pytest.fixture(scope="module")
def shop(studio: Service) -> Service:
    """The service, as soon as it offers its workflow of words to a picture."""
    path = "/v1/operations/workflow.text_to_image"
    until("it is offered", lambda: studio.ask("GET", path).status == 200, seconds=300)
    return studio


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_what_is_wrong_is_said(shop: Service, wrong: Wrong) -> None:
    """Status, problem, pointers and rules; the sentence says what would be right; no traceback, no
    path; and the service goes on, if need be with a new worker (a step of a graph on a starved
    machine may take longer than a worker is given to stop)."""
    method = "PUT" if wrong.path == STORE else "POST"
    answer = shop.ask(method, wrong.path, wrong.body, headers=wrong.headers, seconds=300)
    assert answer.status == wrong.status, answer.body[:1000]
    said = answer.json()
    assert said["type"] == f"/v1/problems/{wrong.slug}"
    found = [(each["pointer"], each["rule"]) for each in said.get("errors", [])]
    if wrong.errors:
        assert found == list(wrong.errors)
    text = json.dumps(said, ensure_ascii=False)
    assert all(word in text for word in wrong.words), text
    assert "Traceback" not in text and str(shop.data_dir.parent) not in text
    until("it goes on", lambda: shop.ask("GET", "/readyz").status == 200, seconds=300)


def test_a_name_that_nothing_has_makes_no_job(shop: Service) -> None:
    """Without any wait it is told at once, every name with its place and what is near; so it is in
    a batch; and what is there is accepted."""
    before = [job["id"] for job in shop.get("/v1/jobs?limit=5")["items"]]
    path = "/v1/operations/sdxl.text_to_image"
    wrong = {"sampler": "eular", "scheduler": "karas", "model": "mimi.safetensors"}
    loras = [{"name": "style.safetensors"}, {"name": "stile.safetensors"}]
    answer = shop.ask("POST", path, {**PICTURE, **wrong, "loras": loras})
    assert answer.status == 422, answer.body
    told = {each["pointer"]: (each["rule"], each["message"]) for each in answer.json()["errors"]}
    assert told == {
        "/sampler": ("unknown_sampler", told["/sampler"][1]),
        "/scheduler": (
            "unknown_scheduler", "there is no scheduler 'karas'; did you mean karras?",
        ),
        "/model": ("unknown_model", told["/model"][1]),
        "/loras/1/name": ("unknown_model", told["/loras/1/name"][1]),
    }  # fmt: skip
    assert "did you mean euler" in told["/sampler"][1]
    assert "did you mean mini.safetensors" in told["/model"][1]
    assert "in loras; did you mean style.safetensors" in told["/loras/1/name"][1]
    batch = {"operation": "sdxl.text_to_image", "items": [PICTURE, {**PICTURE, "sampler": "x"}]}
    answer = shop.ask("POST", "/v1/batches", batch)
    assert answer.status == 422, answer.body
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/items/1/sampler"]
    assert [job["id"] for job in shop.get("/v1/jobs?limit=5")["items"]] == before
    answer = shop.ask("POST", path, {**PICTURE, "loras": loras[:1]})
    assert answer.status == 202, answer.body
    shop.ask("POST", f"{answer.json()['links']['self']}/cancel")
