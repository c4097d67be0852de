"""The boot: what is refused and how it is put, and what a good one leaves untouched."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from backend.bricks import _compat, boot, engine, identity, session
from backend.bricks._comfy import TreeFinder, top_level_names
from backend.config import ROOT, worker_environment
from backend.errors import ComfyUIIncompatible, OperationUnavailable

comfyui_process = pytest.mark.xdist_group("comfyui")

CLI_ARGS = """
import argparse
import comfy.options
parser = argparse.ArgumentParser()
parser.add_argument("--base-directory", type=str)
parser.add_argument("--cpu", action="store_true")
args = parser.parse_args() if comfy.options.args_parsing else parser.parse_args([])
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree that looks like ComfyUI from far away, and cannot be imported to the end."""
    root = tmp_path / "tree"
    files = {
        "comfy/options.py": "args_parsing = False\ndef enable_args_parsing(enable=True):\n"
        "    global args_parsing\n    args_parsing = enable\n",
        "comfy/cli_args.py": CLI_ARGS,
        "comfy/utils.py": "import comfy_no_such_library\n",
        "utils/__init__.py": "",
        "utils/extra_config.py": "from comfy.cli_args import args\nassert args.base_directory\n",
        "folder_paths.py": "",
        "nodes.py": "",
        "tests/__init__.py": "raise RuntimeError('never imported')\n",
        "main.py": "raise RuntimeError('never imported')\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def lock_of(tree: Path) -> Path:
    """A lock that pins *tree* as it is now."""
    files = identity.list_files(tree)
    lock = tree.with_name("comfyui.lock")
    lock.with_name("comfyui.files").write_text(identity.write_list(files))
    lock.write_text(
        f'version = "1.2.3"\ncommit = "{"c" * 40}"\ntree_sha1 = "{identity.fold(files)}"\n'
        f'requirements_sha256 = ""\nfiles = "comfyui.files"\n[git]\nurl = ""\n'
        '[sdist]\nname = ""\nversion = ""\nsha256 = ""\npath = ""\n'
    )
    return lock


def refused(*arguments, **named) -> ComfyUIIncompatible:
    """Boot, which must fail, and leave the process as it was."""
    before = list(sys.path), list(sys.argv), list(sys.meta_path), set(sys.modules)
    with pytest.raises(ComfyUIIncompatible) as caught:
        boot.boot(*arguments, cpu=True, **named)
    assert (list(sys.path), list(sys.argv), list(sys.meta_path)) == before[:3]
    top = {name.partition(".")[0] for name in set(sys.modules) - before[3]}
    assert not top & {"comfy", "utils", "nodes", "folder_paths"}
    assert session.find() is None
    assert str(caught.value.remedy)
    assert str(ROOT) not in caught.value.detail
    return caught.value


def test_an_absent_tree_is_refused_with_the_way_to_get_it(tmp_path):
    """No folder, and an empty one: the remedy is the install command."""
    (tmp_path / "empty").mkdir()
    for folder in ("nothing", "empty"):
        error = refused(tmp_path / folder, tmp_path / "base")
        assert error.detail == "The ComfyUI folder is missing or empty"
        assert "scripts/comfyui.py install" in str(error.remedy)


def test_an_edited_tree_is_refused_and_the_file_is_named(tree, tmp_path):
    """One edited and one added file: the first is named, and nothing was imported."""
    lock = lock_of(tree)
    (tree / "comfy" / "utils.py").write_text("# edited\n")
    (tree / "zz_added.py").write_text("")
    error = refused(tree, tmp_path / "base", lock=lock)
    assert error.detail == (
        "The ComfyUI folder is not the pinned 1.2.3: comfy/utils.py was edited, and 1 more"
    )
    assert "ACCEPT_MODIFIED" in str(error.remedy)


def test_an_edited_tree_can_be_accepted(tree, tmp_path, caplog):
    """With accept_modified the boot goes on (and fails at the import), and the log says so."""
    lock = lock_of(tree)
    (tree / "folder_paths.py").write_text("# edited\n")
    error = refused(tree, tmp_path / "base", lock=lock, accept_modified=True)
    assert "could not be imported" in error.detail
    assert "folder_paths.py was edited" in caplog.text


def test_a_lock_that_cannot_be_read_is_refused(tree, tmp_path):
    """A damaged pin proves nothing."""
    lock = tmp_path / "comfyui.lock"
    lock.write_text("version = 1\n")
    assert "cannot be verified" in refused(tree, tmp_path / "base", lock=lock).detail


def test_a_missing_library_is_named(tree, tmp_path):
    """An import error names the module; everything that was imported is forgotten."""
    error = refused(tree, tmp_path / "base", lock=lock_of(tree))
    assert error.detail == (
        "ComfyUI could not be imported: the module comfy_no_such_library is missing"
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise RuntimeError('no /opt/x/driver.so')", "RuntimeError: no driver.so"),
        ("raise SystemExit(-1)", "SystemExit: -1"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_an_import_that_raises_is_put_in_one_sentence(tree, tmp_path, source, told):
    """Errors, exits and damaged files become a sentence without a path."""
    (tree / "comfy" / "utils.py").write_text(source + "\n")
    error = refused(tree, tmp_path / "base")
    assert told in error.detail
    assert str(tmp_path) not in error.detail


def test_a_stranger_under_one_of_comfyui_s_names_is_refused(tree, tmp_path, monkeypatch):
    """If somebody else's folder_paths is loaded already, the two would be mixed up."""
    stranger = types.ModuleType("folder_paths")
    stranger.__file__ = str(tmp_path / "elsewhere" / "folder_paths.py")
    monkeypatch.setitem(sys.modules, "folder_paths", stranger)
    with pytest.raises(ComfyUIIncompatible, match="'folder_paths'"):
        boot.boot(tree, tmp_path / "base", cpu=True)
    assert sys.modules["folder_paths"] is stranger


def test_without_a_boot_there_is_no_engine(monkeypatch):
    """Bricks and graphs say that ComfyUI is not loaded, and what to do."""
    monkeypatch.setattr(engine, "_engine", None)
    with pytest.raises(ComfyUIIncompatible, match="not loaded"):
        boot.info()
    with pytest.raises(OperationUnavailable, match="no ComfyUI in this process"):
        engine.current()


def test_the_finder_answers_for_the_tree_s_names_alone(tree, tmp_path):
    """Tests, main and foreign names are not its business; namespace packages are pinned down."""
    assert top_level_names(tree) == {"comfy", "utils", "folder_paths", "nodes"}
    finder = TreeFinder(tree, tmp_path / "bytecode")
    for name in ("tests", "main", "json", "backend"):
        assert finder.find_spec(name) is None
    package = finder.find_spec("comfy")
    assert package is not None
    # a plain list: Python's own namespace path would be computed again from sys.path
    assert type(package.submodule_search_locations) is list
    inner = finder.find_spec("comfy.options", package.submodule_search_locations)
    assert inner is not None and inner.origin == str(tree / "comfy" / "options.py")


def test_flags_are_read_without_importing_and_unknown_ones_dropped(tree):
    """A flag goes with its values; what this release does not know is named and left out."""
    known = _compat.known_flags(tree)
    assert known == {"--base-directory", "--cpu"}
    kept, dropped = _compat.keep_known(
        ["--nope", "1", "2", "--base-directory", "b", "--gone=3", "--cpu"], known
    )
    assert kept == ["--base-directory", "b", "--cpu"]
    assert dropped == ["--nope", "--gone"]


@comfyui_process
def test_the_pinned_comfyui_boots_among_hostile_packages(comfyui):
    """Packages called comfy, utils, server … in front of everything are never imported."""
    info = comfyui.info
    assert (info["version"], info["pinned"], info["failed_nodes"]) == ("0.30.0", True, [])
    assert info["commit"] == "14b05228cef127ce529bc0c08660770d4af3e9a8"
    assert info["nodes"] > 500
    assert len(info["samplers"]) > 20 and len(info["schedulers"]) > 5
    assert info["stages"] == [
        "checking ComfyUI", "importing torch", "importing ComfyUI", "loading nodes",
    ]  # fmt: skip


@comfyui_process
def test_search_path_and_arguments_are_as_before(comfyui):
    """sys.path and sys.argv are unchanged by the boot."""
    assert comfyui.info["unchanged"] is True


@comfyui_process
def test_nothing_is_written_into_the_tree(comfyui):
    """After a boot and a graph the digest is the pinned one, and no byte code lies in the tree."""
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }
    comfyui.run(graph)
    tree = ROOT / "backend" / "ComfyUI"
    assert identity.tree_sha1(tree) == comfyui.info["tree_sha1"]
    assert list(tree.rglob("__pycache__")) == []


def test_booting_twice_gives_the_same_and_another_tree_is_refused(tree, tmp_path, monkeypatch):
    """A process has one ComfyUI."""
    booted = session.Session.__new__(session.Session)
    booted.finder = TreeFinder(tree, tmp_path / "bytecode")
    booted.info = session.Info("1", None, "", True, True, (), (), (), 0, (), (), 0.0)
    monkeypatch.setattr(session, "_session", booted)
    assert boot.boot(tree, tmp_path) is booted.info
    with pytest.raises(ComfyUIIncompatible, match="Another ComfyUI"):
        boot.boot(tmp_path, tmp_path)


def test_importing_the_bricks_imports_no_torch():
    """Every brick can be imported without torch and without ComfyUI."""
    modules = [f"backend.bricks.{path.stem}" for path in (ROOT / "backend/bricks").glob("*.py")]
    code = f"import importlib, json, sys\nfor n in {modules!r}: importlib.import_module(n)\n"
    code += "print(json.dumps([n for n in ('torch', 'comfy', 'nodes') if n in sys.modules]))"
    said = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=worker_environment(), capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    assert json.loads(said.stdout) == []
