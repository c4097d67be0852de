"""Upgrade and rollback: another ComfyUI tree in the present one's place, or nothing changed.

Knows: the order of things: look, packages, contract, report, record, swap.
Does not know: how each is done. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import setup_steps as steps
from backend.bricks import identity, releases
from comfyui_tree import candidates, pinned, proving, reporting, requirements
from comfyui_tree.candidates import Candidate
from setup_steps import Stop

RUNNING: Final = (
    "Kino is running on {}: stop it and run again; nothing was changed. "
    "(With --check a candidate is proved while Kino runs.)"
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller chose. *check* changes nothing; *form* says how much of the contract."""

    check: bool = False
    form: proving.Form = "full"
    own: proving.Own | None = None


def upgrade(what: str, target: Path, lock_path: Path, options: Options) -> str:
    """Bring, check, prove and swap; returns a sentence. Raises `Stop`: nothing was changed."""
    lock = pinned.read_lock(lock_path)
    pinned.mend(target)
    if not options.check and releases.in_use(target):
        raise Stop(RUNNING.format(target))
    if not options.check and not pinned.is_empty(target):
        pinned.refuse_users_files(target, releases.match(target, lock_path)[0].lock.files)
    with _staging(target) as staging:
        with steps.step(f"ComfyUI {what}, brought here and looked at"):
            candidate = candidates.bring(what, staging, lock)
        if not pinned.is_empty(target) and identity.tree_sha1(target) == candidate.digest:
            return f"{target} is ComfyUI {candidate.version} already; nothing was changed"
        packages, overlay = _packages(candidate, staging)
        report = _proved(candidate, overlay, packages, target, lock_path, options)
        if not report["passed"]:
            raise Stop(
                f"ComfyUI {candidate.version} does not keep the contract "
                f"({reporting.summary(report)}): nothing was changed; see {_reports(target)}."
            )
        if options.check:
            return f"ComfyUI {candidate.version} keeps the contract; nothing was changed"
        _put_in(candidate, overlay, report, target)
    return (
        f"{target} is now ComfyUI {candidate.version}; 'python3 scripts/comfyui.py rollback' "
        "brings the former one back"
    )


def rollback(target: Path, lock_path: Path) -> str:
    """Put the former tree back; returns a sentence. Raises `Stop`, with nothing changed."""
    pinned.mend(target)
    old = releases.beside(target, "old")
    if pinned.is_empty(old):
        raise Stop(f"there is no former ComfyUI beside {target}: 'install' puts the pinned one in.")
    pin, found = releases.match(old, lock_path)
    if found:
        raise Stop(
            f"the former ComfyUI is not what it was ({pinned.some(found)}): run 'python3 "
            "scripts/comfyui.py install --replace' for the pinned one; nothing was changed."
        )
    if pin.overlay is not None and not pin.overlay.is_dir():
        raise Stop("the packages of the former ComfyUI are gone: 'install --replace' instead.")
    if not pinned.is_empty(target):
        pinned.refuse_users_files(target, releases.match(target, lock_path)[0].lock.files)
    with _swapping(target):
        releases.swap_back(target)
    _prune(target)
    return f"{target} is ComfyUI {pin.lock.version} again"


@contextmanager
def _swapping(target: Path) -> Iterator[None]:
    try:
        yield
    except releases.InUse as error:
        raise Stop(RUNNING.format(target)) from error
    except OSError as error:
        raise Stop(
            f"the folders cannot be exchanged ({error}): mend that and run again."
        ) from error


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A folder on the same disk, empty before and gone after."""
    staging = releases.beside(target, "staging")
    for leftover in (staging, releases.beside(target, "staged")):
        if leftover.exists():
            shutil.rmtree(leftover)
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _packages(candidate: Candidate, staging: Path) -> tuple[list[str], Path | None]:
    """What the candidate wants otherwise, installed into a folder of its own."""
    python = steps.environment_tool("python")
    packages = requirements.wanted(candidate.tree / "requirements.txt", python)
    if not packages:
        steps.done("packages, as they are")
        return [], None
    overlay = staging / "overlay"
    with steps.step(f"{len(packages)} packages beside the others"):
        requirements.install(packages, overlay, python)
    return packages, overlay


def _proved(
    candidate: Candidate,
    overlay: Path | None,
    packages: list[str],
    target: Path,
    lock_path: Path,
    options: Options,
) -> dict[str, Any]:
    """Run the contract, print the report, keep it beside the tree."""
    folder = _reports(target)
    if folder.exists():
        shutil.rmtree(folder)
    old = None
    if not pinned.is_empty(target):
        with steps.step("the present ComfyUI, to compare with"):
            pin, found = releases.match(target, lock_path)
            old = proving.contract(
                target,
                folder / "present",
                overlay=None if found else pin.overlay,
                own=options.own,
                form="reference",
                quiet=True,
            )
    print("  … the contract", flush=True)
    new = proving.contract(
        candidate.tree,
        folder / "candidate",
        overlay=overlay,
        own=options.own,
        before=folder / "present" if old is not None else None,
        form=options.form,
    )
    text = "\n".join(reporting.lines(new, old, packages))
    (folder / "report.txt").write_text(text + "\n", "utf-8")
    print(f"\n{text}\n", flush=True)
    return new


def _reports(target: Path) -> Path:
    return releases.beside(target, "report")


def stored_workflows(data_dir: Path) -> dict[str, Any]:
    """The newest version of every stored workflow, from the ledger; none if there is no ledger."""
    ledger = data_dir / "kino.db"
    if not ledger.is_file():
        return {}
    query = "SELECT name, original, max(version) FROM workflow WHERE deleted IS NULL GROUP BY name"
    try:
        with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(query).fetchall()
        return {name: json.loads(original) for name, original, _ in rows}
    except (sqlite3.Error, ValueError) as error:
        raise Stop(f"the stored workflows cannot be read from {ledger} ({error}).") from error


def _put_in(
    candidate: Candidate, overlay: Path | None, report: dict[str, Any], target: Path
) -> None:
    """Record the candidate, then swap. The record is a tree's by its digest, so the order holds."""
    record = releases.record(target, candidate.digest)
    if record.exists():
        shutil.rmtree(record)
    record.mkdir(parents=True)
    if overlay is not None:
        overlay.rename(record / "overlay")
    (record / "comfyui.files").write_text(
        identity.write_list(identity.list_files(candidate.tree)), "utf-8"
    )
    (record / "report.json").write_text(json.dumps(report), "utf-8")
    # last: a record without its lock is none
    (record / releases.LOCK).write_text(
        lock_text(candidate, "overlay" if overlay is not None else ""), "utf-8"
    )
    note = target / identity.NOTE
    if note.exists():
        shutil.copy2(note, candidate.tree / identity.NOTE)
    candidate.tree.rename(releases.beside(target, "staged"))
    try:
        with _swapping(target):
            releases.swap(target)
    finally:
        if not releases.pending(target):  # or whoever comes next needs it
            shutil.rmtree(releases.beside(target, "staged"), ignore_errors=True)
            _prune(target)


def lock_text(candidate: Candidate, overlay: str) -> str:
    """The record's lock: like the pin's, with no sources, for it is here."""
    needs = hashlib.sha256((candidate.tree / "requirements.txt").read_bytes()).hexdigest()
    values = {
        "version": candidate.version,
        "commit": candidate.commit,
        "tree_sha1": candidate.digest,
        "requirements_sha256": needs,
        "files": "comfyui.files",
        "overlay": overlay,
    }
    text = "# Accepted by 'scripts/comfyui.py upgrade'; the pin of Kino is backend/comfyui.lock.\n"
    text += "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    return text + '\n[git]\nurl = ""\n\n[sdist]\nname = ""\nversion = ""\nsha256 = ""\npath = ""\n'


def _prune(target: Path) -> None:
    """Forget the records of trees that are neither in place nor kept."""
    kept = {
        identity.tree_sha1(tree)
        for tree in (target, releases.beside(target, "old"))
        if tree.is_dir()
    }
    for record in releases.beside(target, "releases").glob("*/"):
        if record.name not in kept:
            shutil.rmtree(record)
