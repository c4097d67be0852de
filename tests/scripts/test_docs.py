"""The generated pages say what the source says, and the written ones leave nothing out."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import docs
from backend.config import Settings
from backend.errors import problem_classes
from backend.plugins.mixer.operations import mix
from docs_pages import hooks, operations, problems
from docs_pages.text import prose, table

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_nothing_has_drifted() -> None:
    """Every generated page is what scripts/docs.py would write now."""
    assert docs.drift(ROOT) == {}


def test_drift_is_found_and_mended(tmp_path: Path) -> None:
    """--check fails and names the page; a run without it writes the page."""
    command = [sys.executable, str(ROOT / "scripts" / "docs.py"), "--root", str(tmp_path)]
    assert subprocess.run(command).returncode == 0
    (tmp_path / "docs" / "hooks.md").write_text("old\n")
    checked = subprocess.run([*command, "--check"], capture_output=True, text=True)
    assert checked.returncode == 1
    assert "Out of date: docs/hooks.md." in checked.stdout
    assert docs.write(tmp_path) == ["docs/hooks.md"]
    assert docs.drift(tmp_path) == {}


def test_every_setting_is_in_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line, without its '#', is a setting that can be read and has its default."""
    text = (ROOT / ".env.example").read_text()
    found = dict(re.findall(r"(?m)^# (KINO_[A-Z_]+)=(.*)$", text))
    for name in Settings.model_fields:
        if name != "plugin_settings":
            assert any(key.startswith(f"KINO_{name.upper()}") for key in found), name
    monkeypatch.chdir(tmp_path)
    lines = [f"{name}={value}" for name, value in found.items() if value]
    (tmp_path / ".env").write_text("\n".join(lines))
    read, default = Settings().model_dump(), Settings(_env_file=None).model_dump()
    assert read | {"data_dir": None} == default | {"data_dir": None}


def test_every_operation_and_parameter_is_described() -> None:
    """Nested parameters are there by their path, with unit and range."""
    page = operations.page()
    assert "### mixer.duck" in page
    held = "number in ms or Breakpoints or automation asset"
    assert f"| `mix.strips[].gate.hold_ms` | {held} | `50.0` | ≥ 0, ≤ 5 000 |" in page
    assert "### workflows.run" in page


def test_the_published_schema_of_a_mix_is_the_operation_s_own() -> None:
    """docs/mixdoc.schema.json is what callers of mixer.mix see."""
    published = json.loads((ROOT / "docs" / "mixdoc.schema.json").read_text("utf-8"))
    own = mix.json_schema()["$defs"]
    assert published["$defs"] == {name: each for name, each in own.items() if name != "MixDoc"}
    assert published["properties"] == own["MixDoc"]["properties"]
    assert published["title"] == "MixDoc, version 1"


def test_every_hook_has_an_example_and_a_test() -> None:
    """No hook without an example in its docstring and a test_hook_<name>."""
    tests = (ROOT / "tests" / "services" / "test_plugin_host.py").read_text()
    for name, hook in hooks.hooks():
        assert "Example::" in str(hook.__doc__), name
        assert f"def test_hook_{name}(" in tests


def test_every_problem_is_described_and_has_an_entry() -> None:
    """Each slug is a heading of problems.md and of troubleshooting.md."""
    for page in (problems.page(), (ROOT / "docs" / "troubleshooting.md").read_text()):
        headings = re.findall(r"(?m)^#+ `?([a-z-]+)`?", page)
        assert {cls.slug for cls in problem_classes()} <= set(headings)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link of every page names a file that is there."""
    text = re.sub(r"(?s)```.*?```", "", path.read_text())
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (path.parent / target).exists(), target


def _lines(path: Path, symbol: str) -> int:
    """How many lines a function or class of a file has, its decorators too."""
    body: list[ast.stmt] = ast.parse(path.read_text()).body
    node: ast.stmt | None = None
    for name in symbol.split("."):
        node = next(each for each in body if getattr(each, "name", None) == name)
        body = getattr(node, "body", [])
    assert node is not None
    assert node.end_lineno is not None
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return node.end_lineno + 1 - min([node.lineno, *(each.lineno for each in decorators)])


def test_the_tour_is_short_and_true() -> None:
    """Every file and name of the reading order exists; together they have at most 1000 lines."""
    total = 0
    rows = re.findall(r"(?m)^\| `(\S+\.py)` \| (.+?) \|", (ROOT / "docs" / "tour.md").read_text())
    assert len(rows) > 10
    for name, what in rows:
        path = ROOT / name
        symbols = re.findall(r"`(\S+?)`", what)
        if symbols:
            total += sum(_lines(path, symbol) for symbol in symbols)
        else:
            assert what == "all"
            total += len(path.read_text().splitlines())
    assert total <= 1000


def test_markdown_is_escaped() -> None:
    """A bar does not end a cell; an indented example becomes a code block."""
    assert "a\\|b" in table(("x",), [("a|b",)])
    assert prose("Do::\n\n    x = 1\n\n    y\n\nThen ``z``.") == (
        "Do:\n\n```python\nx = 1\n\ny\n```\nThen `z`.\n"
    )
