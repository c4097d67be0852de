"""The contract on every known release, and the table of results in the documentation.

Knows: the releases, where their trees and packages are kept meanwhile, and the page.
Does not know: the contract. Standard library only.
"""

from __future__ import annotations

import datetime
import json
import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import setup_steps as steps
from backend.bricks import identity, releases
from comfyui_tree import candidates, pinned, proving, reporting, requirements
from setup_steps import ROOT, Stop

PAGE: Final = ROOT / "docs" / "upgrading-comfyui.md"
BEGIN: Final = "<!-- matrix: written by scripts/comfyui.py matrix -->"
END: Final = "<!-- end of matrix -->"
HEAD: Final = (
    "| ComfyUI | tree | contract | samplers, schedulers, nodes | golden image | packages | time |",
    "|---|---|---|---|---|---|---|",
)


def prove(target: Path, lock_path: Path, into: Path, form: proving.Form) -> bool:
    """The contract on the tree in place; whether it keeps it. Raises `Stop`."""
    if pinned.is_empty(target):
        raise Stop(f"There is no ComfyUI in {target}: run 'python3 scripts/comfyui.py install'.")
    pin, found = releases.match(target, lock_path)
    overlay = None if found else pin.overlay
    return bool(proving.contract(target, into / "in-place", overlay=overlay, form=form)["passed"])


def trees(given: Sequence[str]) -> dict[str, Path]:
    """``VERSION=PATH`` …, by version. Raises `Stop`."""
    found = {}
    for each in given:
        version, equals, path = each.partition("=")
        if not equals or not Path(path).is_dir():
            raise Stop(f"{each} is not VERSION=PATH with a folder: give the root of a tree.")
        found[version] = Path(path)
    return found


def run(lock_path: Path, into: Path, at_hand: dict[str, Path], only: Sequence[str]) -> str:
    """Prove every known release (or *only* some) and write the table; returns a sentence.

    A release that cannot be fetched keeps the line that it had. Raises `Stop` for an unknown one.
    """
    lock, known = pinned.read_lock(lock_path), candidates.known()
    strangers = [each for each in only if each not in known]
    if strangers:
        raise Stop(f"{strangers[0]} is not known: name one of {', '.join(known)}.")
    rows: dict[str, str] = {}
    # the pin first: golden images are held against its
    for version in sorted(known, key=lambda each: each != lock.version):
        if only and version not in only:
            continue
        print(f"ComfyUI {version}", flush=True)
        try:
            report = _one(version, at_hand, into, lock)
        except Stop as stop:
            print(f"  ✗ {stop}", flush=True)
            continue
        rows[version] = row(version, report, _facts(into, lock.version), lock.version)
        write(PAGE, rows)
    return f"{PAGE}: {len(rows)} of {len(known)} releases"


def _facts(into: Path, version: str) -> dict[str, Any]:
    """What the last run on *version* found out; nothing if there was none."""
    file = into / version / "result.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))["facts"] if file.exists() else {}
    return found


def _one(version: str, at_hand: dict[str, Path], into: Path, lock: identity.Lock) -> dict[str, Any]:
    folder = into / version
    shutil.rmtree(folder, ignore_errors=True)
    staging = folder / "staging"
    staging.mkdir(parents=True)
    python = steps.environment_tool("python")
    try:
        found = candidates.bring(str(at_hand.get(version, version)), staging, lock)
        packages = requirements.wanted(found.tree / "requirements.txt", python)
        overlay = staging / "overlay" if packages else None
        if overlay is not None:
            requirements.install(packages, overlay, python)
        report = proving.contract(found.tree, folder / "report", overlay=overlay)
        # the tree must be, to the last bit, what it was: nothing was written into it
        report["tree_sha1"] = identity.tree_sha1(found.tree)
        report["unchanged"] = report["tree_sha1"] == found.digest
        report["packages"] = packages
        (folder / "result.json").write_text(json.dumps(report), "utf-8")
        return report
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def row(version: str, report: dict[str, Any], reference: dict[str, Any], pin: str) -> str:
    """One line of the table."""
    facts = report["facts"]
    counts = [len(facts.get(kind) or ()) for kind in ("samplers", "schedulers")]
    nodes = len((facts.get("interface") or {}).get("nodes") or ())
    passed = "passes" if report["passed"] and report["unchanged"] else "**fails**"
    cells = (
        version,
        f"`{report['tree_sha1'][:12]}`",
        f"{passed}: {reporting.summary(report)}",
        f"{counts[0]}, {counts[1]}, {nodes}",
        "the pin" if version == pin else reporting.golden(facts, reference),
        ", ".join(_told(report["packages"])) or "as locked",
        f"{report['seconds']:.0f} s",
    )
    return f"| {' | '.join(cells)} |"


def _told(packages: Iterable[str]) -> Iterator[str]:
    """Those that matter to what is run: not the editor's templates and help pages."""
    for package in packages:
        if not package.startswith(("comfyui-workflow-templates", "comfyui-embedded-docs")):
            yield package.replace("==", " ")


def write(page: Path, rows: dict[str, str]) -> None:
    """Put the rows into the table of *page*; lines of other releases stay."""
    text = page.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise Stop(f"{page} has lost the marks of its table: restore it from git.")
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    kept = {
        line.split("|")[1].strip(): line
        for line in table.splitlines()
        if line.startswith("| ") and line not in HEAD
    }
    merged = {**kept, **rows}
    lines = [merged[version] for version in sorted(merged, key=_order)]
    day = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    told = f"Run on {day}, Python {platform.python_version()}."
    body = "\n".join([BEGIN, *HEAD, *lines, "", told, END])
    page.write_text(before + body + after, "utf-8")


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
