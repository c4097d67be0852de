"""kino doctor: with and without a service, and with things missing."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from backend.cli import machine
from backend.config import ROOT, ComfyUISettings, Settings


def by_name(report: dict) -> dict[str, dict]:
    return {finding["name"]: finding for finding in report["findings"]}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def test_without_a_service_the_machine_is_examined(kino_at, tmp_path: Path) -> None:
    """With nothing running doctor looks at this machine, says how to start, and ends with 0."""
    port = free_port()
    ended = kino_at("")("doctor", "--json", port=port, data_dir=tmp_path / "data")
    found = by_name(ended.json())
    assert (ended.status, ended.json()["ok"]) == (0, True)
    essential = ("Python", "packages", "data folder", "disk", "address")
    assert [found[name]["state"] for name in essential] == ["ok"] * len(essential)
    assert found["service"]["state"] == "note"
    assert "kino serve" in found["service"]["remedy"]
    assert not (tmp_path / "data").exists()


def test_with_a_service_its_health_is_told(kino) -> None:
    """Workers, ComfyUI, plugins and operations are taken from the service that answers."""
    ended = kino.ok("doctor")
    assert "worker cpu" in ended.out
    found = by_name(kino.ok("doctor", "--json").json())
    assert found["worker cpu"]["state"] == "ok"
    assert found["ComfyUI"]["state"] == "note"
    assert found["plugins"]["state"] == "ok"
    unavailable = [name for name in found if name.startswith("operation ")]
    assert "operation workflows.run" in unavailable
    assert all(found[name]["remedy"] for name in unavailable)


def test_a_port_that_somebody_uses_is_essential(kino_at, tmp_path: Path) -> None:
    """When no Kino answers but the port is taken, `kino serve` could not start: status 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # bound but not listening: nobody answers
        ended = kino_at("")("doctor", port=port, data_dir=tmp_path)
    assert ended.status == 1
    assert "in use" in ended.out
    assert "KINO_PORT" in ended.out


def test_a_service_elsewhere_that_is_gone_is_essential(kino_at, tmp_path: Path) -> None:
    """An address that was given must answer; the local port does not matter then."""
    ended = kino_at("http://127.0.0.1:9")("doctor", "--json", data_dir=tmp_path)
    found = by_name(ended.json())
    assert ended.status == 1
    assert found["service"]["state"] == "missing"
    assert "address" not in found


def test_a_missing_comfyui_has_a_remedy_and_is_not_essential(kino_at, tmp_path: Path) -> None:
    """Without the tree doctor names the command that installs it, and still ends with 0."""
    settings = {"comfyui__path": tmp_path / "none", "data_dir": tmp_path, "port": free_port()}
    ended = kino_at("").ok("doctor", **settings)
    assert "MISSING  ComfyUI tree" in ended.out
    assert "scripts/comfyui.py install" in ended.out
    assert "Nothing essential is missing" in ended.out


def test_a_running_service_without_comfyui_says_so(kino_at, launch, tmp_path: Path) -> None:
    """The reason and the remedy come from /readyz; operations that need ComfyUI are listed."""
    service = launch(workers=["cpu", "comfy"], comfyui__path=tmp_path / "none")
    service.wait_ready()
    ended = kino_at(service.url)("doctor", "--json")
    found = by_name(ended.json())
    assert ended.status == 0
    assert found["ComfyUI"]["state"] == "missing"
    assert "scripts/comfyui.py install" in found["ComfyUI"]["remedy"]
    assert found["operation workflows.run"]["state"] == "missing"
    assert found["worker comfy"]["state"] == "ok"


def test_an_edited_tree_is_named(tmp_path: Path) -> None:
    """A tree that is not the pinned one is missing, or accepted where the settings say so."""
    tree = tmp_path / "tree"
    (tree / "comfy").mkdir(parents=True)
    (tree / "nodes.py").write_text("")
    settings = Settings(data_dir=tmp_path, comfyui=ComfyUISettings(path=tree))
    found = machine.comfyui_tree(settings)
    assert found.state == "missing"
    assert "more" in found.text
    assert "verify" in found.remedy
    accepted = ComfyUISettings(path=tree, accept_modified=True)
    assert machine.comfyui_tree(Settings(comfyui=accepted)).state == "note"
    assert machine.comfyui_tree(settings, tmp_path / "no.lock").state == "missing"
    assert machine.comfyui_tree(Settings(workers=["cpu"])).state == "note"


def test_the_pinned_tree_is_recognised() -> None:
    """The tree that the set-up installed is the pinned one."""
    found = machine.comfyui_tree(Settings())
    assert (found.state, found.remedy) == ("ok", ""), ROOT


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), "missing"), ((3, 11), "ok"), ((3, 14), "missing")]
)
def test_unsupported_pythons_are_named(version: tuple[int, int], state: str) -> None:
    """Pythons outside the supported range are missing and essential."""
    found = machine.python(version)
    assert (found.state, found.is_fatal) == (state, state == "missing")


def test_a_full_disk_and_a_folder_in_the_way(tmp_path: Path) -> None:
    """Too little space, and a data folder that cannot be made, are essential."""
    assert machine.disk(tmp_path / "not" / "yet", 2**62).is_fatal
    (tmp_path / "file").write_text("")
    assert machine.data_folder(tmp_path / "file" / "data").is_fatal
    assert machine.data_folder(tmp_path / "new" / "data").state == "ok"


def test_a_public_address_without_a_key_is_essential() -> None:
    """What `kino serve` would refuse, doctor says before."""
    found = machine.address(Settings(host="0.0.0.0", port=0))
    assert found.is_fatal
    assert "KINO_API_KEYS" in found.remedy


def test_variables_of_older_systems_are_read_and_told(kino_at, launch, tmp_path: Path) -> None:
    """The service takes them from .env and warns with the new name; doctor says the same where it
    is run, also of those that mean nothing here."""
    folder = tmp_path / "older"
    folder.mkdir()
    (folder / ".env").write_text("COMFYUI_LOG_LEVEL=WARN\nWORKER_POLL_INTERVAL=5\nAPI_PORT=1\n")
    service = launch(folder=folder)
    told = [json.loads(line) for line in service.log.read_text().splitlines()]
    older = {each["variable"]: each for each in told if each["event"] == "older variable"}
    assert older["COMFYUI_LOG_LEVEL"]["outcome"] == "it is an older name, read as KINO_LOG_LEVEL"
    assert older["COMFYUI_LOG_LEVEL"]["remedy"] == "Write KINO_LOG_LEVEL instead."
    assert older["API_PORT"]["outcome"] == "it is not read, as KINO_PORT is set"
    assert "needless" in older["WORKER_POLL_INTERVAL"]["outcome"]
    service.wait_ready()
    assert {each["level"] for each in map(json.loads, service.log.read_text().splitlines())} == {
        "warning"
    }
    doctor = replace(kino_at(""), folder=folder)
    found = by_name(doctor("doctor", "--json", data_dir=tmp_path / "data").json())
    assert found["variable COMFYUI_LOG_LEVEL"]["remedy"] == "Write KINO_LOG_LEVEL instead."
    assert found["variable API_PORT"]["state"] == "note"
