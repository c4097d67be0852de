"""The pinned ComfyUI: the lock holds together, the tree in place is it, its needs are met."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from backend.bricks import identity

BACKEND = Path(__file__).resolve().parents[2] / "backend"
TREE = BACKEND / "ComfyUI"


def test_the_lock_adds_up() -> None:
    """The list of files gives the tree digest, so that neither can be changed alone."""
    lock = identity.read_lock(BACKEND / "comfyui.lock")
    assert lock.version == "0.30.0"
    assert identity.fold(lock.files) == lock.tree_sha1
    assert len(lock.commit) == 40


def test_the_tree_in_place_is_the_pinned_one() -> None:
    """backend/ComfyUI is, byte for byte, what the lock names."""
    assert identity.differences(TREE, identity.read_lock(BACKEND / "comfyui.lock")) == []


def test_what_the_tree_needs_is_installed() -> None:
    """Every requirement of the pinned tree is met by the environment that uv.lock gives."""
    text = (TREE / "requirements.txt").read_text("utf-8")
    lock = identity.read_lock(BACKEND / "comfyui.lock")
    assert hashlib.sha256(text.encode()).hexdigest() == lock.requirements_sha256
    wanted = [line.split("#")[0].strip() for line in text.splitlines()]
    unmet = []
    for requirement in [Requirement(line) for line in wanted if line]:
        found = metadata.version(requirement.name)
        if not requirement.specifier.contains(found, prereleases=True):
            unmet.append(f"{requirement}, found {found}")
    assert unmet == []
