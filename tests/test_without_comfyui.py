"""Without ComfyUI: the service starts, says what is missing and what would help, and does the rest.

Knows: four ways for ComfyUI not to be there.
Does not know: how its absence is found out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backend.config import ROOT
from backend.testing.service import Service, environment, until

TREE = ROOT / "backend" / "ComfyUI"
GRAPH = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0},
    },
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}


def nothing(tree: Path) -> None:
    tree.mkdir()


def some_files(tree: Path) -> None:
    """A part of the pinned tree: its digest is another."""
    shutil.copytree(TREE / "comfy_config", tree / "comfy")
    shutil.copy(TREE / "nodes.py", tree)


def raising(tree: Path) -> None:
    """The whole tree, with a main module that raises."""
    shutil.copytree(TREE, tree, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    (tree / "nodes.py").write_text("raise RuntimeError('no such thing: /srv/secret/place.txt')\n")


def lacking(tree: Path) -> None:
    """The whole tree, with a main module that wants a package which is not installed."""
    shutil.copytree(TREE, tree, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    (tree / "nodes.py").write_text("import a_package_that_nobody_has\n")


@dataclass(frozen=True)
class Absence:
    """One way for ComfyUI not to be there: how it is made, and what is said of it."""

    make: Callable[[Path], None]
    reason: str
    remedy: str
    settings: dict[str, object] = field(default_factory=dict)
    state: str = "unavailable"


ACCEPTED: dict[str, object] = {"comfyui__accept_modified": True}
ABSENCES = {
    "absent": Absence(nothing, "missing or empty", "scripts/comfyui.py install"),
    "wrong digest": Absence(some_files, "not the pinned", "scripts/comfyui.py verify"),
    "raises": Absence(raising, "could not be imported: RuntimeError", "verify", ACCEPTED),
    "lacks a module": Absence(
        lacking, "the module a_package_that_nobody_has is missing", "uv sync", ACCEPTED
    ),
    "off": Absence(
        nothing, "switched off", "KINO_COMFYUI__ENABLED=true", {"comfyui__enabled": False}, "off"
    ),
}


def doctor(service: Service, folder: Path) -> dict[str, Any]:
    """What ``kino doctor`` finds, by name. It ends with 0: nothing essential is missing."""
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "backend", "doctor", "--json", "--url", service.url],
        env=environment({}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return {found["name"]: found for found in json.loads(ended.stdout)["findings"]}


def mixes(service: Service, make_wav: Callable[..., bytes]) -> None:
    tone = service.upload(make_wav(), "tone.wav")
    job = service.run("mixer.mix", {"mix": {"strips": [{"id": "a", "source": tone["reference"]}]}})
    assert job["state"] == "succeeded", job["error"]


@pytest.mark.parametrize("absence", ABSENCES.values(), ids=ABSENCES)
def test_without_comfyui(
    launch: Callable[..., Service],
    make_wav: Callable[..., bytes],
    tmp_path: Path,
    absence: Absence,
) -> None:
    """/readyz, /v1/system, the catalogue and ``kino doctor`` name reason and remedy; a graph is
    refused with both; a mix runs."""
    tree = tmp_path / "comfyui-tree"
    absence.make(tree)
    service = launch(workers=["cpu", "comfy"], comfyui__path=tree, **absence.settings)
    early = service.ask("POST", "/v1/operations/workflows.run", {"graph": GRAPH})
    service.wait_ready("cpu")
    mixes(service, make_wav)
    ready = service.wait_ready()

    off = absence.state == "off"
    assert ready["state"] == ("ready" if off else "degraded")
    for said in (ready["comfyui"], service.get("/v1/system")["comfyui"]):
        assert said["state"] == absence.state
        if not off:  # what the owner switched off is nothing to complain of
            assert absence.reason in said["reason"]
            assert absence.remedy in said["remedy"]

    answer = service.ask("POST", "/v1/operations/workflows.run?wait=120", {"graph": GRAPH})
    assert answer.status == 503, answer.body
    problem = answer.json()
    assert problem["type"] == "/v1/problems/operation-unavailable"
    assert absence.reason in problem["detail"]
    assert absence.remedy in problem["remedy"]
    described = service.get("/v1/operations/workflows.run")
    assert described["available"] is False
    assert absence.reason in described["unavailable"]["reason"]
    assert absence.remedy in described["unavailable"]["remedy"]
    accepted_too_early(service, early.status, early.json())

    found = doctor(service, tmp_path)
    assert found["ComfyUI"]["state"] == ("note" if off else "missing")
    run = found["operation workflows.run"]
    for finding in (run,) if off else (run, found["ComfyUI"]):
        assert absence.reason in finding["text"]
        assert absence.remedy in finding["remedy"]
    mixes(service, make_wav)
    told = answer.body.decode() + json.dumps(found)
    assert "Traceback" not in told
    assert "/srv/secret" not in told
    assert str(tree) not in answer.body.decode()


def accepted_too_early(service: Service, status: int, told: dict[str, Any]) -> None:
    """A graph that was submitted before anybody knew: it fails as unavailable, it does not wait
    for ever."""
    if status == 503:  # it was known already
        return
    assert status == 202
    ended = until(
        "the early graph has ended",
        lambda: (job := service.get(f"/v1/jobs/{told['id']}"))["state"] == "failed" and job,
        seconds=300,
    )
    assert ended["error"]["type"] == "/v1/problems/operation-unavailable"
    assert ended["error"]["remedy"]


def test_without_the_worker(launch: Callable[..., Service], make_wav: Callable[..., bytes]) -> None:
    """A service that runs no comfy worker at all is ready, says that ComfyUI is off, and mixes."""
    service = launch(workers=["cpu"])
    ready = service.wait_ready()
    assert (ready["state"], ready["comfyui"]["state"]) == ("ready", "off")
    mixes(service, make_wav)
    answer = service.ask("POST", "/v1/operations/workflows.run?wait=120", {"graph": GRAPH})
    assert answer.status == 503, answer.body
    assert answer.json()["type"] == "/v1/problems/operation-unavailable"
    assert "KINO_WORKERS" in answer.json()["remedy"]
