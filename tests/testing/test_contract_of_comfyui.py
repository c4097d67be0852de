"""The whole contract on the pinned ComfyUI, and an upgrade to an older release and back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.bricks import identity
from backend.config import ROOT, inherited_environment

pytestmark = [
    pytest.mark.contract,
    pytest.mark.xdist_group("contract-of-comfyui"),
    pytest.mark.timeout(1800),
]
SCRIPT = ROOT / "scripts" / "comfyui.py"
PIN = ROOT / "backend" / "ComfyUI"
OLDER = ROOT / "tests" / "bricks" / "comfyui-0.20.1.lock"


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)],
        env=inherited_environment(),
        capture_output=True,
        text=True,
        timeout=1700,
    )


def test_the_pinned_release_keeps_the_contract(tmp_path: Path) -> None:
    """Every step passes; only the operator's packs are not applicable, for there are none."""
    said = run("contract", "--into", tmp_path)
    report = json.loads((tmp_path / "in-place" / "report.json").read_text())
    ends = {each["name"]: each["outcome"] for each in report["results"]}
    assert {name for name, end in ends.items() if end != "passed"} == {
        "the operator's node packs"
    }, said.stdout
    assert said.returncode == 0
    assert {each["number"] for each in report["results"]} == set(range(1, 14))


PACK = """
class Grain:
    RETURN_TYPES = ()
    FUNCTION = "run"
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}
    def run(self):
        return ()
NODE_CLASS_MAPPINGS = {"Grain": Grain}
"""


def test_a_node_pack_that_loses_something_fails_the_contract(tmp_path: Path) -> None:
    """One that had another node on the tree before is named with it; one that has what it had
    passes."""
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / "film.py").write_text(PACK)
    command = [sys.executable, "-P", "-m", "backend.testing.contract", str(PIN), "--only", "packs"]
    command += ["--packs", str(packs), "--pack", "film.py", "--into"]

    def proved(name: str, *more: str) -> tuple[int, str, dict[str, Any]]:
        into = tmp_path / name
        said = subprocess.run(
            [*command, str(into), *more],
            env=inherited_environment(),
            capture_output=True,
            text=True,
            timeout=600,
        )
        return said.returncode, said.stdout, json.loads((into / "report.json").read_text())

    status, told, report = proved("first")
    assert status == 0, told
    assert [each["nodes"] for each in report["facts"]["packs"]] == [["Grain"]]
    report["facts"]["packs"][0]["nodes"].append("Noise")
    (tmp_path / "before.json").write_text(json.dumps(report))
    status, told, _ = proved("second", "--before", str(tmp_path / "before.json"))
    assert status == 1
    assert "has no node 'Noise' any more" in told


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A copy of the pinned tree to upgrade, and the older release's tree, fetched once."""
    older = Path(request.config.cache.mkdir("comfyui-0.20.1")) / "ComfyUI"
    said = run("install", "--lock", OLDER, "--target", older)
    assert said.returncode == 0, said.stderr
    target = tmp_path / "ComfyUI"
    shutil.copytree(PIN, target, symlinks=True)
    return target, older


def test_to_an_older_release_and_back(place: tuple[Path, Path], tmp_path: Path) -> None:
    """0.20.1 keeps the short form of the contract with packages of its own beside the others; the
    report compares it with the present tree; it is swapped in, is verified, and goes again."""
    target, older = place
    before = identity.tree_sha1(target)
    where = ("--target", target)
    said = run("upgrade", older, *where, "--form", "short", "--data-dir", tmp_path / "data")
    assert said.returncode == 0, said.stdout + said.stderr
    report = target.with_name("ComfyUI.report").joinpath("report.txt").read_text()
    assert "version      0.30.0 → 0.20.1" in report
    assert "comfyui-frontend-package==1.42.15" in report
    assert "golden image equal" in report
    assert "  removed    " in report
    assert identity.tree_sha1(target) == identity.tree_sha1(older)
    assert run("verify", *where).returncode == 0
    status = run("status", *where).stdout
    assert "in place   ComfyUI 0.20.1" in status and "overlay    " in status
    said = run("rollback", *where)
    assert said.returncode == 0, said.stderr
    assert identity.tree_sha1(target) == before
    assert run("verify", *where).returncode == 0
