"""The contract, run on a tree: as a program of Kino's environment, whose lines are passed on.

Knows: how it is started, how long it may take, and its report file.
Does not know: the contract (``backend/testing/contract``). Standard library only.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import setup_steps as steps
from setup_steps import ROOT, Stop

Form = Literal["full", "short", "reference"]
LIMIT_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Own:
    """What the operator has of their own: stored workflows by name, and node packs."""

    workflows: dict[str, Any]
    packs: Path
    pack_names: Sequence[str] = ()


def contract(
    tree: Path,
    into: Path,
    *,
    overlay: Path | None = None,
    own: Own | None = None,
    before: Path | None = None,
    form: Form = "full",
    quiet: bool = False,
) -> dict[str, Any]:
    """The report of one run; its steps are printed as they end. *before* is the folder of a run on
    the tree that the operator's packs run on now. Raises `Stop` if there is no report."""
    python = steps.environment_tool("python")
    command = [python, "-P", "-m", "backend.testing.contract", tree, "--into", into]
    command += ["--form", form, *(["--overlay", overlay] if overlay is not None else [])]
    into.mkdir(parents=True, exist_ok=True)
    if own is not None:
        stored = into / "workflows.json"
        stored.write_text(json.dumps(own.workflows), "utf-8")
        command += ["--workflows", stored, "--packs", own.packs]
        command += [word for name in own.pack_names for word in ("--pack", name)]
        command += ["--before", before / "report.json"] if before is not None else []
    log = into / "contract.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=file if quiet else None,
            stderr=file,
        )
        try:
            process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Stop(f"the contract took longer than an hour: see {log}.") from None
        finally:
            process.kill()
            process.wait()
    report = into / "report.json"
    if not report.is_file():
        raise Stop(f"the contract could not be run ({steps.last_line(log.read_text('utf-8'))}).")
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return found


def _environment() -> dict[str, str]:
    """Ours without ``KINO_*``: the contract is about ComfyUI, not about this installation."""
    known = steps.clean_environment()
    return {name: value for name, value in known.items() if not name.startswith("KINO_")}
