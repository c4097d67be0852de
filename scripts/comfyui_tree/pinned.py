"""The pinned ComfyUI: put it in place, prove that it is the pinned one, say what is there.

Knows: ``backend/comfyui.lock``, and how to swap a folder in one move.
Does not know: where trees come from (``sources``), how ComfyUI is imported
(``backend/bricks/boot.py``). Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backend.bricks import identity, releases
from comfyui_tree import sources
from setup_steps import ROOT, Stop

LOCK: Final = ROOT / "backend" / "comfyui.lock"
TARGET: Final = ROOT / "backend" / "ComfyUI"


def read_lock(path: Path) -> identity.Lock:
    """The pin. Raises `Stop` if it cannot be read."""
    try:
        return identity.read_lock(path)
    except (OSError, ValueError) as error:
        raise Stop(f"{path} cannot be read ({error}): restore it from git.") from error


def is_empty(target: Path) -> bool:
    """Whether there is no tree: no folder, or nothing in it but our note."""
    return not target.is_dir() or all(item.name == identity.NOTE for item in target.iterdir())


def install(
    lock_path: Path = LOCK,
    target: Path = TARGET,
    *,
    sdist: Path | None = None,
    replace: bool = False,
) -> str:
    """Put the pinned tree into *target*; returns where it came from, ``""`` if it was there.

    A tree is fetched and verified beside *target* and moved in by renaming, so that an interrupted
    installation leaves *target* as it was. A tree that an upgrade put there is as good as the
    pinned one; one that differs is kept. With *replace* either gives way, and is kept as
    ``<target>.old``. A swap that was cut off is finished first. Raises `Stop`.
    """
    lock = read_lock(lock_path)
    staging = target.with_name(target.name + ".staging")
    _recover(target, staging)
    modified = False
    if not is_empty(target):
        pin, found = releases.match(target, lock_path)
        if not found and (pin.committed or not replace):
            return ""
        modified = True
        if replace:
            refuse_users_files(target, pin.lock.files)
        if not replace:
            raise Stop(
                f"{target} is not ComfyUI {lock.version} as pinned ({some(found)}): keep it and "
                "set KINO_COMFYUI__ACCEPT_MODIFIED=true, or run 'python3 scripts/comfyui.py "
                "install --replace', which keeps the present tree beside it."
            )
    try:
        tree, source = _fetch(lock, staging, sdist)
        _swap_in(tree, target, keep_old=modified)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return source


def _fetch(lock: identity.Lock, staging: Path, sdist: Path | None) -> tuple[Path, str]:
    """Try the sources in turn until one gives the pinned tree."""
    tried: list[tuple[str, Callable[[Path], Path]]]
    if sdist is not None:
        tried = [(f"file {sdist.name}", lambda place: sources.from_sdist(lock, place, sdist))]
    else:
        tried = [
            ("git", lambda place: sources.from_git(lock, place)),
            ("package index", lambda place: sources.from_index(lock, place)),
        ]
    reasons = []
    for name, source in tried:
        place = staging / name.split()[0]
        try:
            tree = source(place)
        except sources.NotFetched as error:
            reasons.append(f"{name}: {error}")
            continue
        found = identity.differences(tree, lock)
        if not found:
            return tree, name
        reasons.append(f"{name}: it is not the pinned tree ({some(found)})")
    raise Stop(
        f"ComfyUI {lock.version} could not be fetched ({'; '.join(reasons)}): connect to the "
        f"network and run again, or bring the source distribution {lock.sdist_name} "
        f"{lock.sdist_version} here and run 'python3 scripts/comfyui.py install --sdist FILE'."
    )


def _swap_in(tree: Path, target: Path, *, keep_old: bool) -> None:
    if target.exists() and releases.in_use(target):  # first: the former tree is still wanted
        raise Stop(f"Kino is running on {target}: stop it and run again; nothing was changed.")
    old = _old(target)
    note = target / identity.NOTE
    if note.exists():
        shutil.copy2(note, tree / identity.NOTE)
    if old.exists():
        shutil.rmtree(old)
    if target.exists():
        target.rename(old)
    target.parent.mkdir(parents=True, exist_ok=True)
    tree.rename(target)
    if not keep_old and old.exists():
        shutil.rmtree(old)


def _old(target: Path) -> Path:
    return target.with_name(target.name + ".old")


def _recover(target: Path, staging: Path) -> None:
    """Tidy up after an interrupted installation or upgrade."""
    mend(target)
    if not target.exists() and _old(target).exists():
        _old(target).rename(target)
    if staging.exists():
        shutil.rmtree(staging)


def mend(target: Path) -> None:
    """Finish a swap that was cut off. Raises `Stop`."""
    if not target.parent.is_dir():
        return
    try:
        with releases.exclusive(target):
            releases.repair(target)
    except (OSError, ValueError, releases.InUse) as error:
        raise Stop(f"a swap of ComfyUI was cut off and cannot be finished ({error}).") from error


def refuse_users_files(target: Path, known: identity.Files) -> None:
    """Raise `Stop` if the user keeps files in *target*: they would go away with the tree."""
    first = next(identity.users_files(target, known), None)
    if first is not None:
        raise Stop(
            f"{target} holds files of your own ({first}): move them to a folder beside it first "
            "(KINO_COMFYUI__MODELS_DIR, KINO_COMFYUI__CUSTOM_NODES_DIR); nothing was changed."
        )


def some(found: list[str]) -> str:
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def verify(lock_path: Path, target: Path) -> list[str]:
    """What differs from the pin, or from what an upgrade accepted if that is nearer; empty if
    nothing does. Raises `Stop` if there is no tree."""
    read_lock(lock_path)
    mend(target)
    if is_empty(target):
        raise Stop(f"There is no ComfyUI in {target}: run 'python3 scripts/comfyui.py install'.")
    return releases.match(target, lock_path)[1]


def version_of(tree: Path) -> str:
    """The version that a tree gives itself, ``unknown`` if it does not say."""
    with contextlib.suppress(OSError):
        text = (tree / "comfyui_version.py").read_text("utf-8")
        found = re.search(r'__version__\s*=\s*"([^"]+)"', text)
        if found:
            return found.group(1)
    return "unknown"


def status(lock_path: Path, target: Path) -> list[str]:
    """Lines about the pin and the tree in place."""
    lock = read_lock(lock_path)
    mend(target)
    lines = [f"pinned     ComfyUI {lock.version}, commit {lock.commit}", f"folder     {target}"]
    if is_empty(target):
        return [*lines, "state      absent; run 'python3 scripts/comfyui.py install'"]
    pin, found = releases.match(target, lock_path)
    lines.append(
        f"in place   ComfyUI {version_of(target)}, tree {identity.tree_sha1(target, lock.files)}"
    )
    good = "verified" if pin.committed else "verified, put here by an upgrade"
    lines.append(f"state      {'modified: ' + some(found) if found else good}")
    needs = target / "requirements.txt"
    digest = hashlib.sha256(needs.read_bytes()).hexdigest() if needs.is_file() else ""
    same = digest == pin.lock.requirements_sha256
    lines.append(f"packages   {'as locked' if same else 'its requirements.txt is another one'}")
    if pin.overlay is not None:
        lines.append(f"overlay    {pin.overlay}")
    if not is_empty(_old(target)):
        lines.append(f"former     ComfyUI {version_of(_old(target))}; 'rollback' brings it back")
    return lines
