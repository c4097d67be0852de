"""The report of an upgrade and the table of releases, as people read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from comfyui_tree import matrix, reporting
from setup_steps import Stop

STEP = {"number": 5, "name": "signatures", "outcome": "passed", "detail": "34", "seconds": 1.0}
PLAIN = {"required": {"a": "INT"}, "optional": {}, "without_default": [], "outputs": ["INT"]}


def facts(**changed: Any) -> dict[str, Any]:
    """What a contract found out."""
    nodes = {"One": PLAIN, "Two": PLAIN}
    return {
        "version": "1.0.0",
        "samplers": ["euler", "ddim"],
        "schedulers": ["normal"],
        "interface": {"nodes": nodes},
        "golden": "a" * 64,
        "workflows": {},
        "packs": [],
        **changed,
    }


def test_a_report_names_what_differs() -> None:
    """Each line of what an upgrade brings, takes away and breaks."""
    changed = {"One": {**PLAIN, "required": {}}, "Three": PLAIN}
    pack = {"name": "grain", "state": "loaded", "nodes": ["Grain", "Noise"], "reason": ""}
    old = {"facts": facts(packs=[pack, {**pack, "name": "fog"}]), "results": []}
    new = {
        "facts": facts(
            version="2.0.0",
            samplers=["euler", "res_3m"],
            interface={"nodes": changed},
            golden="b" * 64,
            workflows={"portrait": ["node 3 is not installed"]},
            packs=[
                {**pack, "nodes": ["Grain"]},
                {**pack, "name": "fog", "state": "failed", "reason": "no module named x"},
            ],
        ),
        "results": [STEP, {**STEP, "number": 10, "name": "LoRA", "outcome": "failed"}],
        "passed": False,
    }
    assert list(reporting.lines(new, old, ["comfy-aimdo==2"])) == [
        "version      1.0.0 → 2.0.0",
        "packages     comfy-aimdo==2",
        "samplers     +res_3m -ddim",
        "schedulers   the same 1",
        "nodes        2, 1 of them new",
        "  removed    Two",
        "  changed    One",
        "  breaking   One: input a is gone",
        "signatures   good, 34",
        "templates    not looked at",
        "workflows    1 stored ones affected",
        "  portrait: node 3 is not installed",
        "node packs   1 loaded, 2 lose something",
        "  grain: without Noise",
        "  fog: no module named x",
        "golden image different",
        "contract     1 of 2 steps passed, failed: 10 LoRA",
    ]


def test_a_workflow_that_was_broken_before_is_not_blamed_on_the_upgrade() -> None:
    """Nor is anything compared where the present tree could not be asked."""
    told = {"old": ["node 1 is not installed"]}
    report = {"facts": facts(workflows=told), "results": [STEP]}
    assert "workflows    no stored one is affected" in list(reporting.lines(report, report, []))
    alone = list(reporting.lines(report, None, []))
    assert "samplers     not compared" in alone
    assert f"golden image made ({'a' * 12}), nothing to compare with" in alone


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    """New rows take the place of old ones, others stay, in the order of versions; the page around
    it stays; a page without marks is refused."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{matrix.BEGIN}\n{matrix.END}\nafter\n")
    matrix.write(page, {"0.20.1": "| 0.20.1 | old |", "0.9.0": "| 0.9.0 | kept |"})
    report = {
        "facts": facts(),
        "results": [STEP],
        "passed": True,
        "unchanged": True,
        "tree_sha1": "c" * 40,
        "packages": ["glfw==2", "comfyui-workflow-templates==1"],
        "seconds": 61.0,
    }
    row = matrix.row("0.20.1", report, facts(golden="b" * 64), "0.30.0")
    matrix.write(page, {"0.20.1": row})
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert [line for line in lines if line.startswith("| 0.")] == [
        "| 0.9.0 | kept |",
        f"| 0.20.1 | `{'c' * 12}` | passes: 1 of 1 steps passed | 2, 1, 2 | different | glfw 2 |"
        " 61 s |",
    ]
    page.write_text("nothing")
    with pytest.raises(Stop, match="lost the marks"):
        matrix.write(page, {})
