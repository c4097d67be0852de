"""Custom-node packs and an existing ComfyUI in place, over HTTP with the real engine.

Knows: packs of ours as real folders (``custom_nodes/``), good ones and every sort of bad one; and
an installation that somebody has used, with packs, models and outputs in it.
Does not know: how a pack is loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.config import ROOT, inherited_environment
from backend.testing.service import Service

pytestmark = pytest.mark.xdist_group("custom-nodes")

PACKS = Path(__file__).parent / "custom_nodes"
TREE = ROOT / "backend" / "ComfyUI"
ENABLED = [
    "good", "deadly", "modern.py", "raising", "lacking", "leaving", "hanging", "clash", "thief",
    "gooood", "speechless",
]  # fmt: skip
GRAPH = {
    "1": {"class_type": "ModernGreeting", "inputs": {"name": "Ann"}},
    "2": {"class_type": "GoodShout", "_meta": {"title": "Speaker"},
          "inputs": {"text": ["1", 0], "times": 2, "gap": 0.5, "tone": "stern", "loud": False}},
}  # fmt: skip
WEIGHTS = (2).to_bytes(8, "little") + b"{}"
Traces = dict[str, tuple[int, int]]


def traces(folder: Path) -> Traces:
    """Size and time of change of everything below *folder*, folders too."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files, "."):
            about = (Path(place) / name).lstat()
            found[str(Path(place) / name)] = (about.st_size, about.st_mtime_ns)
    return found


@dataclass
class Used:
    """An installation in use, as it was before Kino came, and the service that runs it."""

    tree: Path
    before: Traces
    service: Service
    said: subprocess.CompletedProcess[str]


def used_installation(tree: Path) -> Path:
    """A ComfyUI that somebody has worked with."""
    shutil.copytree(TREE, tree, ignore=shutil.ignore_patterns("__pycache__", "VENDORED.md"))
    shutil.copytree(
        PACKS, tree / "custom_nodes", dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    for name in ("models/checkpoints/mine.safetensors", "output/one.png", "user/default/a.json"):
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(WEIGHTS)
    other = tree.with_name("other disk")
    other.mkdir()
    (other / "theirs.safetensors").write_bytes(WEIGHTS)
    (tree / "extra_model_paths.yaml").write_text(f"elsewhere:\n  loras: {other}\n")
    (tree / "models" / "vae" / "put_vae_here").unlink()
    return tree


def use(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "comfyui.py"), "use", *map(str, words)]
    return subprocess.run(
        command, env=inherited_environment(), capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    """The one boot: the script chooses the installation, and the service finds its choice."""
    folder = tmp_path_factory.mktemp("used")
    tree = used_installation(folder / "their ComfyUI")
    before = traces(tree)
    said = use(tree, "--env-file", folder / ".env")
    service = Service.start(
        folder,
        workers=["comfy"],
        comfyui__custom_nodes_dir=tree / "custom_nodes",
        comfyui__custom_nodes=ENABLED,
        comfyui__custom_nodes_s=10,
    )
    found = Used(tree, before, service, said)
    try:
        service.wait_ready()
        yield found
    finally:
        found.service.kill()  # the last test starts another


@pytest.fixture
def packs(used: Used) -> dict[str, dict[str, Any]]:
    """The report of each pack, by its name."""
    comfyui = used.service.get("/v1/system")["comfyui"]
    return {pack["name"]: pack for pack in comfyui["packs"]}


def test_good_packs_give_their_nodes(packs: dict[str, dict[str, Any]]) -> None:
    """A folder and a single file, the older and the newer kind of node; what is missing is told."""
    good, modern = packs["good"], packs["modern.py"]
    assert (good["state"], good["nodes"], good["web"]) == ("loaded", ["GoodShout"], True)
    assert (modern["state"], modern["nodes"], modern["web"]) == (
        "loaded", ["ModernGreeting"], False,
    )  # fmt: skip
    assert good["skipped"] == ["prestartup_script.py"]
    wanted = [(each["requirement"], each["found"] is None) for each in good["missing"]]
    assert wanted == [("kino-has-no-such-package>=3", True), ("aiohttp<1", False)]
    assert good["refused"] == modern["refused"] == []


@pytest.mark.parametrize(
    ("name", "state", "error", "reason", "remedy"),
    [
        ("raising", "failed", "RuntimeError", "RuntimeError: no driver: driver.so", "log"),
        ("lacking", "failed", "ModuleNotFoundError", "No module named 'a_module_that_nobody_has'",
         "uv pip install kino-has-no-other-package"),
        ("leaving", "failed", "SystemExit", "loading it raised SystemExit: 3", "Mend"),
        ("hanging", "failed", None, "it was not loaded within 10 s", "CUSTOM_NODES_S"),
        ("deadly", "failed", None, "ended the worker process", "start the service again"),
        ("thief", "failed", "ReplacedModule", "it replaced the module folder_paths", "Mend"),
        ("speechless", "failed", "Speechless", "loading it raised Speechless", "Mend"),
        ("gooood", "absent", None, "not in the folder", "Is 'good' meant?"),
        ("unused", "not enabled", None, "not named in KINO_COMFYUI__CUSTOM_NODES", "Name it"),
    ],
)  # fmt: skip
def test_a_bad_pack_is_reported_and_harms_nobody(
    packs: dict[str, dict[str, Any]],
    name: str,
    state: str,
    error: str | None,
    reason: str,
    remedy: str,
) -> None:
    """Each has its reason and its remedy, without a path of this machine; none has nodes."""
    pack = packs[name]
    assert (pack["state"], pack["error"], pack["nodes"]) == (state, error, [])
    assert reason in pack["reason"]
    assert remedy in pack["remedy"]
    assert "/opt" not in json.dumps(pack)


def test_a_name_that_is_taken_stays_whose_it_is(
    used: Used, packs: dict[str, dict[str, Any]]
) -> None:
    """Clashing nodes are refused one by one: ComfyUI's, Kino's and the other pack's stay theirs."""
    clash = packs["clash"]
    assert (clash["state"], clash["nodes"], clash["web"]) == ("loaded", ["ClashOwn"], False)
    reasons = {each["what"]: each["reason"] for each in clash["refused"]}
    assert reasons == {
        "node SaveImage": "ComfyUI has a node of this name",
        "node KinoLoadAsset": "Kino has a node of this name",
        "node KinoMixerDuck": "Kino has a node of this name",
        "node GoodShout": "the pack 'good' has a node of this name",
        "node ClashBroken": "it cannot be described: KeyError: 'no such folder'",
        "web folder clash": "it is outside of the pack",
        "route GET /good/hello": "there is such a route already",
    }
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    job = used.service.run("workflows.run", {"graph": graph})
    assert len(job["result"]["images"]) == 1, job["error"]


def test_the_worker_was_lost_once_and_came_back(used: Used) -> None:
    """Only the pack that ends the process costs one; the next process passes it over."""
    (worker,) = used.service.get("/readyz")["workers"]
    assert (worker["state"], worker["starts"]) == ("ready", 2)


def test_nodes_of_packs_run_in_graphs(used: Used) -> None:
    """Nodes of two packs in one graph; one of them imports from its own folder when it runs."""
    job = used.service.run("workflows.run", {"graph": GRAPH})
    assert job["state"] == "succeeded", job["error"]
    assert job["result"]["text"] == ["hello Ann hello Ann!"]


def test_a_stored_workflow_has_the_typed_inputs_of_a_pack_s_node(used: Used) -> None:
    """Text, range, choices and switch of the pack's node are parameters; a run takes them, and
    what breaks their rules is refused at the door."""
    headers = {"Content-Type": "application/json"}
    answer = used.service.ask("PUT", "/v1/workflows/speaker", GRAPH, headers=headers)
    assert answer.status == 201, answer.body
    shown = used.service.get("/v1/operations/workflow.speaker")["schema"]["properties"]
    names = {name.removeprefix("speaker_"): about for name, about in shown.items()}
    times = names["times"]
    assert (times["type"], times["minimum"], times["maximum"], times["default"]) == (
        "integer", 1, 5, 2,
    )  # fmt: skip
    assert names["tone"]["enum"] == ["friendly", "stern"]
    assert (names["loud"]["type"], names["gap"]["maximum"]) == ("boolean", 1.0)
    by_end = {name.removeprefix("speaker_"): name for name in shown}
    job = used.service.run("workflow.speaker", {by_end["times"]: 1, by_end["loud"]: True})
    assert job["result"]["text"] == ["HELLO ANN!"], job["error"]
    wrong = used.service.ask("POST", "/v1/operations/workflow.speaker", {by_end["times"]: 9})
    assert wrong.status == 422
    assert wrong.json()["errors"][0]["pointer"] == f"/{by_end['times']}"


def test_the_editor_s_own_document_with_a_pack_s_node_is_stored(used: Used) -> None:
    """Values without names are told apart by the order of the pack's inputs."""
    document = {
        "nodes": [{"id": 4, "type": "GoodShout", "inputs": [], "outputs": [], "title": "Speaker",
                   "widgets_values": ["hi", 3, 0.2, "friendly", True]}],
        "links": [],
    }  # fmt: skip
    headers = {"Content-Type": "application/json"}
    answer = used.service.ask("PUT", "/v1/workflows/drawn", document, headers=headers)
    assert answer.status == 201, answer.body
    job = used.service.run("workflow.drawn", {})
    assert job["result"]["text"] == ["HI HI HI!"], job["error"]


def test_comfyui_s_own_surface_has_the_packs_and_nothing_is_renamed(used: Used) -> None:
    """Nodes, web files and routes of a good pack are there; the pack whose names were taken has
    renamed no node of ComfyUI's, and its route answers nobody."""
    nodes = used.service.get("/comfy/object_info")
    assert nodes["GoodShout"]["display_name"] == "Shout"
    assert nodes["GoodShout"]["python_module"] == "custom_nodes.good"
    assert nodes["KSampler"]["display_name"] == "KSampler"
    assert "ClashBroken" not in nodes and len(nodes) > 500
    assert "/extensions/good/good.js" in used.service.get("/comfy/extensions")
    assert used.service.ask("GET", "/comfy/extensions/good/good.js").body.startswith(b"console")
    assert used.service.get("/comfy/good/hello") == {"hello": "good"}


def test_a_node_of_a_pack_that_is_not_loaded_is_missing(used: Used) -> None:
    """What a failed pack left half-done is gone: its node does not exist."""
    graph = {"1": {"class_type": "RaisingHalf", "inputs": {}}}
    job = used.service.run("workflows.run", {"graph": graph})
    assert job["error"]["errors"][0]["rule"] == "unknown_node"


def test_the_installation_is_used_in_place(used: Used) -> None:
    """What its user keeps in it does not make it a changed tree; the choice reaches the service;
    its models are found, and those that its extra_model_paths.yaml names."""
    assert used.said.returncode == 0, used.said.stderr
    comfyui = used.service.get("/v1/system")["comfyui"]
    assert (comfyui["state"], comfyui["pinned"]) == ("ready", True)
    models = {each["name"] for each in used.service.get("/v1/models?limit=200")["items"]}
    assert {"mine.safetensors", "theirs.safetensors"} <= models


def test_doctor_tells_of_each_pack(used: Used) -> None:
    """The operator sees failures, refused nodes and missing requirements with their remedies."""
    command = [sys.executable, "-P", "-m", "backend", "--url", used.service.url, "doctor", "--json"]
    said = subprocess.run(
        command, env=inherited_environment(), cwd=used.tree.parent, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    found = json.loads(said.stdout)["findings"]
    told = {(each["name"], each["state"]) for each in found}
    assert ("custom nodes raising", "missing") in told
    assert ("custom nodes good", "note") in told
    assert any("GoodShout is refused" in each["text"] for each in found)
    assert any(each["remedy"].startswith("uv pip install 'kino-has-no-such") for each in found)
    whole = next(each for each in found if each["name"] == "custom nodes")
    assert (
        whole["text"]
        == "loaded: good, modern.py, clash; not enabled: unused, websocket_image_save.py"
    )


def test_the_log_tells_of_each_pack(used: Used) -> None:
    """What failed is in the log, and so is what a pack printed."""
    log = used.service.log.read_text("utf-8")
    assert "custom nodes raising are not loaded: loading it raised RuntimeError" in log
    assert "good: hello" in log


def test_when_a_pack_is_disabled_its_workflows_say_so(used: Used) -> None:
    """After a restart without the pack: storing and running name the node and whose it was; and
    nothing of all this has touched a file of the installation."""
    service = used.service
    service.stop()
    folder = used.tree.parent
    again = Service.start(
        folder,
        workers=["comfy"],
        comfyui__custom_nodes_dir=used.tree / "custom_nodes",
        comfyui__custom_nodes=["modern.py"],
    )
    used.service = again
    again.wait_ready()
    job = again.run("workflow.speaker", {})
    assert job["state"] == "failed"
    (error,) = job["error"]["errors"]
    assert (error["pointer"], error["rule"]) == ("/graph/2/class_type", "unknown_node")
    whose = "the custom-node pack 'good' had it, which is not enabled"
    assert whose in error["message"]
    headers = {"Content-Type": "application/json"}
    answer = again.ask("PUT", "/v1/workflows/other", GRAPH, headers=headers)
    assert answer.status == 422
    assert whose in answer.json()["errors"][0]["message"]
    assert traces(used.tree) == used.before
