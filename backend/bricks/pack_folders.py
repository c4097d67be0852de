"""Custom-node packs as they lie in the operator's folder: which there are, and what they ask for.

Knows: what counts as a pack, and how ``requirements.txt`` is held against what is installed.
Does not know: how a pack is loaded (`bricks.packs`); nothing is imported here, ComfyUI neither.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import logging
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

PRESTARTUP: Final = "prestartup_script.py"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Missing:
    """A requirement that is not met; ``found`` is the version installed instead, if any."""

    requirement: str
    found: str | None


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack: a folder with ``__init__.py``, or a single ``.py`` file."""

    name: str
    path: Path
    enabled: bool

    @property
    def is_there(self) -> bool:
        return self.path.exists()

    def missing(self) -> tuple[Missing, ...]:
        """What its ``requirements.txt`` asks for and is not installed as asked for."""
        return tuple(_missing(self.path / "requirements.txt"))

    def skipped(self) -> tuple[str, ...]:
        """Files of it that stock ComfyUI would run before everything, and Kino does not."""
        return (PRESTARTUP,) if (self.path / PRESTARTUP).is_file() else ()


def packs_in(folder: Path, enabled: Sequence[str]) -> list[Pack]:
    """The *enabled* packs in their order, whether they are there or not, then the others of
    *folder* by name. A folder that is absent or cannot be read holds none."""
    try:
        found = sorted(entry.name for entry in folder.iterdir() if _is_pack(entry))
    except OSError:
        found = []
    named = [Pack(name, folder / name, True) for name in enabled]
    return named + [Pack(name, folder / name, False) for name in found if name not in enabled]


def _is_pack(entry: Path) -> bool:
    if entry.name.startswith((".", "_")):
        return False
    return entry.is_dir() or entry.suffix == ".py"


def absence(pack: Pack) -> tuple[str, str]:
    """Reason and remedy for an enabled pack that is not in its folder."""
    others = [each.name for each in packs_in(pack.path.parent, ())]
    near = difflib.get_close_matches(pack.name, others, 1)
    hint = f" Is {near[0]!r} meant?" if near else ""
    return (
        "it is not in the folder of custom nodes",
        f"Put it into KINO_COMFYUI__CUSTOM_NODES_DIR, or take it out of "
        f"KINO_COMFYUI__CUSTOM_NODES.{hint}",
    )


def command(missing: Sequence[Missing]) -> str:
    """The command that installs *missing* beside Kino."""
    return "uv pip install " + " ".join(shlex.quote(each.requirement) for each in missing)


def _missing(file: Path) -> Iterator[Missing]:
    try:
        lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
    except OSError as error:
        _log.warning("the requirements of %s cannot be read: %s", file.parent.name, error.strerror)
        return
    for line in lines:
        text = line.partition(" #")[0].strip()
        # options, other files and bare addresses name nothing that can be looked up here
        if text and not text.startswith(("#", "-")):
            yield from _unmet(text)


def _unmet(text: str) -> Iterator[Missing]:
    try:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return
        found = _installed(wanted.name)
        if found is None or not wanted.specifier.contains(found, prereleases=True):
            yield Missing(text, found)
    except ValueError as error:
        _log.debug("the requirement %r is passed over: %s", text, error)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
