"""Which tree may be booted: found, whole, known by its digest, with the packages that it wants.

Knows: the pins that hold for a tree, and how a refusal is put.
Does not know: how a tree is imported (`bricks.boot`), how one is exchanged (`bricks.releases`).
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.bricks import identity, releases
from backend.bricks.session import INSTALL
from backend.errors import ComfyUIIncompatible

VERIFY: Final = (
    "Run 'python3 scripts/comfyui.py verify' to see what differs and 'install' to mend it, "
    "or set KINO_COMFYUI__ACCEPT_MODIFIED=true"
)
UPGRADE_AGAIN: Final = (
    "Run 'python3 scripts/comfyui.py rollback', or 'install --replace' for the pinned ComfyUI"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A tree that may be booted; *pin* is None if nobody vouches for it."""

    digest: str
    pin: releases.Pin | None


@contextmanager
def admitted(tree: Path, lock: Path | None, *, accept_modified: bool) -> Iterator[Admitted]:
    """Within this block *tree* is known and is not exchanged; after a good end it stays so for the
    life of the process. A swap that was cut off is finished first.

    *lock* None asks for no proof. Raises `ComfyUIIncompatible`.
    """
    try:
        with releases.exclusive(tree):
            if releases.repair(tree):
                _log.warning("a swap of ComfyUI that was cut off is finished")
            held = releases.hold(tree)
    except (OSError, ValueError, releases.InUse) as error:
        raise ComfyUIIncompatible(
            f"The ComfyUI folder is being exchanged: {error}", remedy="Try again in a moment"
        ) from error
    try:
        yield _identify(tree, lock, accept_modified=accept_modified)
    except BaseException:
        if held is not None:
            os.close(held)
        raise


def _identify(tree: Path, lock: Path | None, *, accept_modified: bool) -> Admitted:
    if not (tree / "comfy").is_dir() or not (tree / "nodes.py").is_file():
        raise ComfyUIIncompatible("The ComfyUI folder is missing or empty", remedy=INSTALL)
    try:
        if lock is None:
            return Admitted(identity.tree_sha1(tree), None)
        pin, lines = releases.match(tree, lock)
        # hashing takes 0.4 s, and a tree that is the pin's has been hashed
        digest = identity.tree_sha1(tree, pin.lock.files) if lines else pin.lock.tree_sha1
    except (OSError, ValueError) as error:
        raise ComfyUIIncompatible("The ComfyUI folder cannot be verified", remedy=VERIFY) from error
    if not lines:
        return Admitted(digest, pin)
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    which = "pinned" if pin.committed else "accepted"
    detail = f"The ComfyUI folder is not the {which} {pin.lock.version}: {lines[0]}{more}"
    if not accept_modified:
        raise ComfyUIIncompatible(detail, remedy=VERIFY)
    _log.warning("%s", detail)
    return Admitted(digest, None)


def put_first(overlay: Path) -> None:
    """Make the packages in *overlay* win over those of the environment, in this process.

    Raises `ComfyUIIncompatible` if the folder is gone, or one of them is loaded already.
    """
    if not overlay.is_dir():
        raise ComfyUIIncompatible(
            "The packages that this ComfyUI wants are gone", remedy=UPGRADE_AGAIN
        )
    names = {entry.name.partition(".")[0] for entry in overlay.iterdir()}
    for name in sorted(names & sys.modules.keys()):
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and not Path(file).is_relative_to(overlay):
            raise ComfyUIIncompatible(
                f"This ComfyUI wants another {name}, and Kino has loaded its own already",
                remedy=UPGRADE_AGAIN,
            )
    if str(overlay) not in sys.path:
        sys.path.insert(0, str(overlay))
        importlib.invalidate_caches()
