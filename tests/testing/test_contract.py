"""The upgrade contract's own parts: what it compares, watches and survives; no ComfyUI here."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.bricks import identity
from backend.config import ROOT, worker_environment
from backend.testing.contract import interface, runner, steps, surface

BRICKS = ROOT / "backend" / "bricks"
NODE: dict[str, Any] = {
    "required": {"model": "MODEL", "steps": "INT"},
    "optional": {"mask": "MASK"},
    "without_default": ["model"],
    "outputs": ["LATENT", "INT"],
}


def _verbs() -> list[tuple[str, set[str]]]:
    """Every ``verb("Name", input=…)`` in the bricks: the node, and the inputs that it is given."""
    found = []
    for file in BRICKS.glob("*.py"):
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            name = call.args[0] if call.args else None
            if call.func.id == "verb" and isinstance(name, ast.Constant):
                given = {word.arg for word in call.keywords if word.arg is not None}
                found.append((str(name.value), given))
    return found


def test_every_node_that_bricks_call_is_looked_at() -> None:
    """The table of uses holds each node and each input that a verb names."""
    verbs = _verbs()
    assert len(verbs) > 15
    for name, given in verbs:
        assert name in interface.USES, name
        assert given <= set(interface.USES[name].partition(">")[0].split()), name


def test_the_snapshot_is_the_pin_s() -> None:
    """It was taken from the pinned release, holds every node that is used, and allows each use."""
    snapshot = interface.snapshot()
    assert snapshot["version"] == identity.read_lock(ROOT / "backend" / "comfyui.lock").version
    assert snapshot["nodes"].keys() == interface.USES.keys()
    assert interface.breaches(snapshot) == []
    assert len(snapshot["names"]) > 500


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"required": {"model": "MODEL"}}, [("input steps is gone", True)]),
        (
            {"required": {**NODE["required"], "eta": "FLOAT"}},
            [("new required input eta", False)],
        ),
        (
            {
                "required": {**NODE["required"], "vae": "VAE"},
                "without_default": ["model", "vae"],
            },
            [("new required input vae", True)],
        ),
        ({"optional": {"mask": "MASK", "extra": "INT"}}, [("new input extra", False)]),
        ({"optional": {"mask": "IMAGE"}}, [("input mask is IMAGE, was MASK", False)]),
        ({"outputs": ["LATENT"]}, [("outputs are ['LATENT'], were ['LATENT', 'INT']", True)]),
        ({"outputs": ["LATENT", "INT", "MASK"]}, [("new outputs ['MASK']", False)]),
    ],
)
def test_changes_of_a_node(changed: dict[str, Any], told: list[tuple[str, bool]]) -> None:
    """Each is named, with whether graphs break by it; an input with a default breaks none."""
    assert interface.changes(NODE, {**NODE, **changed}) == told


def test_uses_that_a_node_does_not_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that is gone, one that is asked for, and other outputs."""
    monkeypatch.setattr(interface, "USES", {"Node": "steps tiles > MASK"})
    assert interface.breaches({"nodes": {"Node": NODE}}) == [
        "Node: there is no input tiles",
        "Node: it asks for model",
        "Node: it gives ['LATENT', 'INT'], not ['MASK']",
    ]


@pytest.mark.parametrize(
    ("spec", "plain", "filled"),
    [
        (("INT", {"default": 1}), "INT", True),
        (("INT", {}), "INT", False),
        ((["a", "b"],), "COMBO", True),
        (("COMBO", {"options": ["a"]}), "COMBO", True),
        (("MODEL",), "MODEL", False),
    ],
)
def test_inputs_of_both_kinds_of_nodes(spec: Any, plain: str, filled: bool) -> None:
    """A choice is a choice in either kind, and what has a default may be left out."""
    found = interface.described({"input": {"required": {"x": spec}}, "output": []})
    assert found["required"] == {"x": plain}
    assert found["without_default"] == ([] if filled else ["x"])


WATCHED = """
import os, socket, sys
from pathlib import Path
from backend.testing.contract.watch import Watch

base, other = Path(sys.argv[1]), Path(sys.argv[2])
watch = Watch(base, other / "tree")
watch.start()
(base / "inside.txt").write_text("x")
(other / "outside.txt").write_text("x")
(other / "outside.txt").read_text()
(other / "tree" / "__pycache__").mkdir(parents=True)
(other / "package" / "__pycache__").mkdir(parents=True)
(other / "package" / "__pycache__" / "a.pyc").write_bytes(b"")
os.link(base / "inside.txt", other / "link")
with open(os.devnull, "w"):
    pass
for address in (("127.0.0.1", 9), ("192.0.2.1", 9)):
    with socket.socket() as one:
        one.setblocking(False)
        try:
            one.connect(address)
        except OSError:
            pass
print([Path(each).relative_to(other).as_posix() for each in watch.written])
print(watch.connected)
"""


def test_what_a_process_does_is_seen(tmp_path: Path) -> None:
    """Writes outside of base and connections elsewhere are; reading, devices, compiled packages
    and the machine itself are not; a compiled file inside the tree is."""
    base, other = tmp_path / "base", tmp_path / "other"
    base.mkdir()
    other.mkdir()
    said = subprocess.run(
        [sys.executable, "-P", "-c", WATCHED, str(base), str(other)],
        env=worker_environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    written, connected = said.stdout.splitlines()
    assert ast.literal_eval(written) == [
        "outside.txt",
        "tree/__pycache__",
        "tree",
        "package",
        "link",
    ]
    assert connected == "['socket.connect 192.0.2.1']"


def test_requirements_that_are_not_met(tmp_path: Path) -> None:
    """Missing and other versions are told; met ones, comments and other systems' are not; the
    overlay's version counts before the environment's."""
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# comment\n\nnumpy\nnumpy>=99\nkino-no-such-package==1  # why\n"
        "kino-no-such-package; sys_platform == 'no-such-system'\n"
    )
    told = list(surface.unmet(file, None))
    assert told[0].startswith("numpy>=99 is wanted, and ")
    assert told[1:] == ["kino-no-such-package==1 is not installed"]
    overlay = tmp_path / "overlay" / "kino_no_such_package-1.dist-info"
    overlay.mkdir(parents=True)
    (overlay / "METADATA").write_text("Name: kino-no-such-package\nVersion: 1\n")
    assert len(list(surface.unmet(file, overlay.parent))) == 1


def test_a_path_that_dies_or_hangs_is_a_failure(tmp_path: Path) -> None:
    """It ends the path, with what became of it, and not the contract."""
    routes = (
        runner.Route("dies", "no_such_module"),
        runner.Route("hangs", "surface", deadline_s=0.01),
    )
    report = runner.contract(runner.Subject(tmp_path), tmp_path / "into", routes=routes)
    assert [(each.outcome, each.detail) for each in report.results] == [
        ("failed", "it ended with status 1"),
        ("failed", "it took longer than 0 s"),
    ]
    assert not report.passed
    assert "no_such_module" in (tmp_path / "into" / "dies" / "log.txt").read_text()
    assert (tmp_path / "into" / "report.json").is_file()


def test_how_steps_end(tmp_path: Path) -> None:
    """Passed with a remark, broken, not applicable, or with whatever the tree raised; the next
    step runs all the same."""

    def broken(bench: steps.Bench) -> str:
        raise steps.Broken("it does not")

    def absent(bench: steps.Bench) -> str:
        raise steps.NotApplicable("it has none")

    def leaves(bench: steps.Bench) -> str:
        raise SystemExit(3)

    found: list[steps.Result] = []
    named = {"good": lambda bench: "fine", "broken": broken, "absent": absent, "leaves": leaves}
    several = [steps.Step(1, name, work) for name, work in named.items()]
    steps.perform(several, steps.Bench(tmp_path, tmp_path), found.append)
    assert [(each.name, each.outcome, each.detail) for each in found] == [
        ("good", "passed", "fine"),
        ("broken", "failed", "it does not"),
        ("absent", "n/a", "it has none"),
        ("leaves", "failed", "SystemExit: 3"),
    ]
