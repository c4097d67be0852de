"""Which ComfyUI trees are accepted besides the pinned one, and how one takes another's place.

Knows: the folder beside the tree, the journal of a swap, and who uses a tree just now.
Does not know: where trees come from and why one was accepted. Standard library only, because the
set-up scripts use it before anything is installed.

Beside ``ComfyUI`` lie ``ComfyUI.staged`` (a candidate), ``ComfyUI.old`` (the former tree) and
``ComfyUI.releases/<tree sha1>/`` (what was accepted: a lock like the pin's, and the packages that
this tree wants otherwise). A record belongs to its tree by the tree's digest, so whatever renames
the tree has swapped its lock and its packages too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backend.bricks import identity

# Windows has none: there a file that is open keeps its folder from being renamed
_fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None

WAIT_S: Final = 30.0
"""A swap takes milliseconds; who waits longer meets a process that hangs."""

LOCK: Final = "comfyui.lock"
_JOURNAL: Final = "swap.json"


@dataclass(frozen=True, slots=True)
class Pin:
    """A tree that may be booted: its lock, and the folder of packages that it wants otherwise."""

    lock: identity.Lock
    overlay: Path | None
    committed: bool


class InUse(Exception):
    """A process runs on this tree, or is swapping it."""


def beside(tree: Path, what: str) -> Path:
    """The neighbour of *tree* called *what*: ``staged``, ``old``, ``discarded``, ``releases``."""
    return tree.with_name(f"{tree.name}.{what}")


def record(tree: Path, digest: str) -> Path:
    """Where what was accepted for the tree with this digest lies."""
    return beside(tree, "releases") / digest


def pins(tree: Path, lock: Path) -> list[Pin]:
    """Every pin that holds for *tree*: the committed one first, then those accepted beside it.

    Raises ``OSError`` and ``ValueError`` if the committed lock cannot be read; a damaged record is
    as good as none.
    """
    found = [Pin(identity.read_lock(lock), None, committed=True)]
    for file in sorted(beside(tree, "releases").glob(f"*/{LOCK}")):
        with contextlib.suppress(OSError, ValueError):
            kept = identity.read_lock(file)
            overlay = file.parent / kept.overlay if kept.overlay else None
            found.append(Pin(kept, overlay, committed=False))
    return found


def match(tree: Path, lock: Path) -> tuple[Pin, list[str]]:
    """The pin that *tree* is, and nothing; or the one it comes closest to, and what differs.

    Raises as `pins` does, and ``OSError`` if the tree cannot be read.
    """
    compared = []
    for pin in pins(tree, lock):
        lines = identity.differences(tree, pin.lock)
        if not lines:
            return pin, []
        compared.append((pin, lines))
    return min(compared, key=lambda each: len(each[1]))


# --- who uses a tree ------------------------------------------------------------------------------


def hold(tree: Path) -> int | None:
    """Tell swaps that this process uses *tree*; until it ends, or the descriptor is closed.

    None where folders cannot be locked (Windows, some network disks).
    """
    descriptor = _open(tree)
    if descriptor is not None and not _flock(descriptor, exclusively=False):
        os.close(descriptor)
        return None
    return descriptor


def in_use(tree: Path) -> bool:
    """Whether a process holds *tree*. False where that cannot be known."""
    descriptor = _open(tree)
    if descriptor is None:
        return False
    try:
        return not _flock(descriptor, exclusively=True)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(tree: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Within this block no other process swaps *tree* or starts on it. Raises `InUse`."""
    descriptor = _open(tree.parent)
    try:
        deadline = time.monotonic() + wait_s
        while descriptor is not None and not _flock(descriptor, exclusively=True):
            if time.monotonic() > deadline:
                raise InUse(f"another process is swapping {tree.name}")
            time.sleep(0.02)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open(folder: Path) -> int | None:
    if _fcntl is None:
        return None
    with contextlib.suppress(OSError):
        return os.open(folder, os.O_RDONLY)
    return None


def _flock(descriptor: int, *, exclusively: bool) -> bool:
    """Whether the lock was got; also True where the file system has no locks."""
    try:
        kind = _fcntl.LOCK_EX if exclusively else _fcntl.LOCK_SH
        _fcntl.flock(descriptor, kind | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


# --- the swap -------------------------------------------------------------------------------------


def swap(tree: Path) -> None:
    """Put the staged tree in, and keep the present one as the old one. Raises `InUse`, ``OSError``.

    The one moment that decides is the journal's appearance; from there on whoever comes next
    finishes the work (`repair`).
    """
    names = {what: beside(tree, what).name for what in ("staged", "old", "discarded")}
    moves = [(names["old"], names["discarded"]), (tree.name, names["old"])]
    _begin(tree, [*moves, (names["staged"], tree.name)])


def swap_back(tree: Path) -> None:
    """Put the old tree back in; the present one is discarded. Raises `InUse`, ``OSError``."""
    names = {what: beside(tree, what).name for what in ("old", "discarded")}
    _begin(tree, [(tree.name, names["discarded"]), (names["old"], tree.name)])


def pending(tree: Path) -> bool:
    """Whether a swap was begun and not finished."""
    return (beside(tree, "releases") / _JOURNAL).exists()


def repair(tree: Path) -> bool:
    """Finish a swap that was cut off; whether there was one. Raises `InUse`, ``OSError``.

    Call within `exclusive`.
    """
    journal = beside(tree, "releases") / _JOURNAL
    try:
        moves = json.loads(journal.read_text("utf-8"))
    except FileNotFoundError:
        return False
    for source, target in moves:
        # a target that is there was moved before: at the beginning none was (see `_needed`)
        before, after = tree.with_name(source), tree.with_name(target)
        if before.exists() and not after.exists():
            before.rename(after)
    old = beside(tree, "old")
    if not tree.exists() and old.exists():
        old.rename(tree)  # somebody took the candidate away: better the former tree than none
    journal.unlink()
    shutil.rmtree(beside(tree, "discarded"), ignore_errors=True)
    return True


def _begin(tree: Path, moves: list[tuple[str, str]]) -> None:
    with exclusive(tree):
        repair(tree)
        if in_use(tree):
            raise InUse(f"a Kino process runs on {tree.name}")
        discarded = beside(tree, "discarded")
        if discarded.exists():  # it must be gone, for the moves tell by it what was done
            shutil.rmtree(discarded)
        if not tree.with_name(moves[-1][0]).is_dir():
            raise FileNotFoundError(f"there is no {moves[-1][0]}")
        journal = beside(tree, "releases") / _JOURNAL
        journal.parent.mkdir(exist_ok=True)
        partial = journal.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(_needed(tree, moves), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(journal)
        repair(tree)


def _needed(tree: Path, moves: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The moves that there is something for, now: a repair must not find work in what the swap
    itself has put there."""
    there = {name for move in moves for name in move if tree.with_name(name).exists()}
    needed = []
    for source, target in moves:
        if source in there:
            needed.append((source, target))
            there ^= {source, target}
    return needed
