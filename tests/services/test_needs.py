"""Needs are looked up without importing anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from backend import context
from backend.config import Settings
from backend.hookspecs import ModelFile
from backend.operations import Needs
from backend.services.model_folders import ModelFolders
from backend.services.needs import missing, missing_model, module_exists


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


def test_a_model_file_is_looked_for_in_every_root(tmp_path: Path) -> None:
    """A file that is missing names the command that fetches it; one in any root will do."""
    file = ModelFile("net/1", "stems/net", "1.safetensors", "MIT", "https://host/1")
    comfyui: Any = {"model_roots": [tmp_path / "second"]}
    settings = Settings(data_dir=tmp_path, comfyui=comfyui)
    given = (Needs(models=("net/1",)), {"net/1": file}, ModelFolders(settings, ["stems"]))
    why = missing(*given)
    assert why is not None
    assert why.reason == "the model file 1.safetensors is not in models/stems/net"
    assert "kino models download net/1" in why.remedy
    touch(tmp_path / "second" / "stems" / "net" / "1.safetensors")
    assert missing(*given) is None


def touch(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def test_one_model_of_a_kind_is_enough_if_it_is_whole(tmp_path: Path) -> None:
    """Half a model is none; one of the operator's own will do; the first known one is proposed."""
    files = {
        f"{net}/{number}": ModelFile(f"{net}/{number}", f"nets/{net}", f"{number}.bin", "MIT", "x")
        for net, number in (("small", 1), ("large", 1), ("large", 2))
    }
    settings = Settings(data_dir=tmp_path)
    folders = ModelFolders(settings, ["nets"])
    wants = Needs(model_kind="nets")
    why = missing(wants, files, folders)
    assert why is not None
    assert why.reason == "there is no model in models/nets"
    assert why.remedy == "Run: kino models download small"
    touch(tmp_path / "models" / "nets" / "large" / "1.bin")
    assert missing(wants, files, folders) == why
    absent = missing_model("nets", "large", files, folders)
    assert absent is not None
    assert absent.reason == "the model large is not installed: 2.bin not in models/nets/large"
    assert absent.remedy == "Run: kino models download large"
    touch(tmp_path / "models" / "nets" / "large" / "2.bin")
    assert missing(wants, files, folders) is None
    assert missing_model("nets", "large", files, folders) is None
    assert missing_model("nets", "unheard_of", files, folders) is None
    (tmp_path / "models" / "nets" / "large" / "2.bin").unlink()
    touch(tmp_path / "models" / "nets" / "mine" / "x.bin")
    assert missing(wants, files, folders) is None


def test_a_run_finds_the_root_that_has_the_folder(tmp_path: Path) -> None:
    """Of several folders of models, the first that holds what is asked for; else the first."""
    import contextvars

    (tmp_path / "two" / "stems" / "net").mkdir(parents=True)

    def look() -> tuple[Path, Path]:
        context.set_models_folders([tmp_path / "one", tmp_path / "two"])
        return context.models_folder("stems/net"), context.models_folder("stems/other")

    found = contextvars.copy_context().run(look)
    assert found == (tmp_path / "two", tmp_path / "one")
