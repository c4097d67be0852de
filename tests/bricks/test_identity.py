"""The tree digest is git's own, and the lock is read strictly."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from backend.bricks import identity

LOCK = """
version = "9.9.9"
commit = "{commit}"
tree_sha1 = "{tree}"
requirements_sha256 = "00"
files = "comfyui.files"
[git]
url = "unused"
[sdist]
name = "some-package"
version = "1.0"
sha256 = "00"
path = "vendor/ComfyUI"
"""


def _git(folder: Path, *words: str) -> str:
    config = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    said = subprocess.run(
        ["git", *config, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with everything that makes git's order and modes hard."""
    root = tmp_path / "tree"
    (root / "a").mkdir(parents=True)
    (root / "a.b").mkdir()
    (root / "a" / "x.py").write_text("x = 1\n")
    (root / "a.b" / "y.py").write_text("y = 1\n")
    (root / "a-c.py").write_bytes(b"\r\n\x00binary")
    (root / "été.txt").write_text("summer", "utf-8")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("a/x.py")
    return root


def _lock(tree: Path) -> identity.Lock:
    files = identity.list_files(tree)
    folder = tree.parent
    (folder / "comfyui.files").write_text(identity.write_list(files), "utf-8")
    path = folder / "comfyui.lock"
    path.write_text(LOCK.format(commit="c", tree=identity.fold(files)), "utf-8")
    return identity.read_lock(path)


def test_digest_is_the_one_that_git_gives(tree: Path) -> None:
    """Files, folders, an executable, a link and names that sort badly give git's tree sha1."""
    _git(tree, "init", "--quiet")
    _git(tree, "add", "--all")
    _git(tree, "commit", "--quiet", "-m", "all")
    assert identity.tree_sha1(tree) == _git(tree, "rev-parse", "HEAD^{tree}")


def test_what_running_leaves_behind_does_not_count(tree: Path) -> None:
    """Byte code, git's own folder, empty folders and our note leave the digest as it is."""
    before = identity.tree_sha1(tree)
    for name in ("__pycache__", ".git"):
        (tree / "a" / name).mkdir()
        (tree / "a" / name / "something").write_text("else")
    (tree / "empty" / "inside").mkdir(parents=True)
    (tree / identity.NOTE).write_text("ours")
    assert identity.tree_sha1(tree) == before


def test_a_note_of_the_same_name_further_down_counts(tree: Path) -> None:
    """Only the note in the root is ours."""
    before = identity.tree_sha1(tree)
    (tree / "a" / identity.NOTE).write_text("theirs")
    assert identity.tree_sha1(tree) != before


def test_differences_name_each_thing(tree: Path) -> None:
    """An edit, an addition, a loss and a changed mode are each named by path."""
    lock = _lock(tree)
    assert identity.differences(tree, lock) == []
    (tree / "a" / "x.py").write_text("x = 2\n")
    (tree / "new.py").write_text("")
    (tree / "a-c.py").unlink()
    (tree / "run.sh").chmod(0o644)
    assert identity.differences(tree, lock) == [
        "a-c.py is missing",
        "a/x.py was edited",
        "new.py was added",
        "run.sh has mode 100644, not 100755",
    ]


def test_what_belongs_to_a_user_does_not_count_and_is_not_read(tree: Path) -> None:
    """Held against a list, models and outputs are passed over, also behind a link, and so is the
    loss of a file that marks their folder; code beside them still counts."""
    (tree / "models" / "vae").mkdir(parents=True)
    (tree / "models" / "vae" / "put_vae_here").write_text("")
    lock = _lock(tree)
    before = identity.tree_sha1(tree, lock.files)
    os.mkfifo(tree / "models" / "vae" / "large.safetensors")  # reading it would never end
    (tree / "custom_nodes" / "pack").mkdir(parents=True)
    (tree / "custom_nodes" / "pack" / "__init__.py").write_text("")
    (tree / "models" / "loras").symlink_to(tree.parent)
    (tree / "output").symlink_to(tree.parent / "nowhere")
    (tree / "models" / "vae" / "put_vae_here").unlink()
    assert identity.differences(tree, lock) == []
    assert identity.tree_sha1(tree, lock.files) == before == lock.tree_sha1
    (tree / "a" / "models").mkdir()
    (tree / "a" / "models" / "new.py").write_text("")
    assert identity.differences(tree, lock) == ["a/models/new.py was added"]


def test_without_a_list_the_digest_is_named(tree: Path) -> None:
    """A lock without a list of files can still tell that something differs."""
    lock = _lock(tree)
    path = tree.parent / "comfyui.lock"
    path.write_text(path.read_text("utf-8").replace('files = "comfyui.files"\n', ""), "utf-8")
    (tree / "new.py").write_text("")
    found = identity.differences(tree, identity.read_lock(path))
    assert found == [f"the tree digest is {identity.tree_sha1(tree)}, not {lock.tree_sha1}"]


def test_a_list_that_does_not_add_up_is_refused(tree: Path) -> None:
    """An edited list of files cannot hide a difference."""
    _lock(tree)
    listed = tree.parent / "comfyui.files"
    listed.write_text("".join(listed.read_text("utf-8").splitlines(True)[1:]), "utf-8")
    with pytest.raises(ValueError, match="does not add up"):
        identity.read_lock(tree.parent / "comfyui.lock")


def test_an_incomplete_lock_says_what_it_lacks(tmp_path: Path) -> None:
    """The missing key is named."""
    path = tmp_path / "comfyui.lock"
    path.write_text('version = "1"\ncommit = "c"\n[git]\nurl = "u"\n[sdist]\n', "utf-8")
    with pytest.raises(ValueError, match="lacks 'tree_sha1'"):
        identity.read_lock(path)
