"""Needs are looked up without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backend.services.needs import module_exists


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that raises when it is imported, with a module inside."""
    folder = tmp_path / "loud_package"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "inner" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "inner" / "leaf.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    return "loud_package"


def test_parents_are_not_imported(package: str) -> None:
    """A submodule is found although its parents would raise."""
    assert module_exists(package)
    assert module_exists(f"{package}.inner.leaf")
    assert not module_exists(f"{package}.inner.nothing")
    assert not module_exists(f"{package}.inner.leaf.deeper")
    assert package not in sys.modules


@pytest.mark.parametrize("name", ["json", "json.decoder", "sys", "backend.media"])
def test_what_is_there(name: str) -> None:
    """Packages, submodules and built-in modules."""
    assert module_exists(name)


@pytest.mark.parametrize("name", ["nothing_of_this_name", "nothing_of_this_name.at.all", "sys.x"])
def test_what_is_not(name: str) -> None:
    """Neither the module nor a parent."""
    assert not module_exists(name)


def test_a_module_without_a_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was put into sys.modules by hand is there."""
    made = type(sys)("made_by_hand")
    made.__spec__ = None
    monkeypatch.setitem(sys.modules, "made_by_hand", made)
    assert module_exists("made_by_hand")
