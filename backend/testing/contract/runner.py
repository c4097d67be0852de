"""The whole contract: each path in a clean process, with a deadline, and a report of all.

Knows: the paths, their order and deadlines, and what a process that dies or hangs means.
Does not know: the steps.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from backend.config import worker_environment
from backend.testing.contract.steps import Result

LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Route:
    """One path: its module, which of its steps, how long it may take, and whether it must write
    nothing outside of its folder and send nothing."""

    name: str
    module: str
    steps: str = "STEPS"
    deadline_s: float = 600.0
    watched: bool = True


PACKS: Final = Route("packs", "packs", watched=False)
ROUTES: Final = (
    Route("surface", "surface"),
    Route("graphs", "graphs"),
    Route("http", "http", watched=False),
    Route("pictures", "pictures", deadline_s=1800.0),
    Route("video", "video"),
    Route("music", "music", deadline_s=900.0),
    PACKS,
)
SHORT: Final = (
    Route("surface", "surface"),
    Route("graphs", "graphs"),
    Route("pictures", "pictures", "GOLDEN"),
    PACKS,
)
REFERENCE: Final = (Route("surface", "surface"), Route("pictures", "pictures", "GOLDEN"), PACKS)
"""What a report compares a candidate with."""


@dataclass
class Report:
    """What came of it. ``facts`` holds version, samplers, interface, golden digest and more."""

    tree: str
    passed: bool = True
    seconds: float = 0.0
    results: list[Result] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """One more result; a failed one fails the report."""
        self.results.append(result)
        self.passed = self.passed and result.outcome != "failed"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: a tree, the packages that it wants otherwise, stored graphs by name, and
    the operator's node packs (``{"folder": …, "names": […]}``)."""

    tree: Path
    overlay: Path | None = None
    workflows: dict[str, Any] = field(default_factory=dict)
    packs: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "tree": str(self.tree.resolve()),
            "overlay": str(self.overlay.resolve()) if self.overlay is not None else None,
            "workflows": self.workflows,
            "packs": self.packs,
        }


def contract(
    subject: Subject,
    into: Path,
    *,
    routes: Sequence[Route] = ROUTES,
    tell: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Run *routes*; everything is written below *into*, ``report.json`` at the end.

    If the first path does not boot, the others are not tried.
    """
    started = time.monotonic()
    report = Report(str(subject.tree))
    for route in routes:
        for result in _path(route, subject, into.resolve() / route.name, report.facts):
            report.add(result)
            tell(result)
        if route.module == "surface" and not _booted(report):
            break
    report.seconds = round(time.monotonic() - started, 1)
    into.mkdir(parents=True, exist_ok=True)
    (into / "report.json").write_text(json.dumps(asdict(report), indent=1), "utf-8")
    return report


def _booted(report: Report) -> bool:
    """Whether the requirements are met and the tree was imported."""
    first = ("tree and requirements", "clean boot")
    return not any(each.name in first and each.outcome == "failed" for each in report.results)


def _path(route: Route, subject: Subject, folder: Path, facts: dict[str, Any]) -> Iterator[Result]:
    """Run one path in a clean process, with *folder* to itself."""
    if folder.exists():
        shutil.rmtree(folder)
    base = folder / "base"
    (base / "tmp").mkdir(parents=True)
    results, job = folder / "results.jsonl", folder / "job.json"
    results.touch()
    about = {"module": route.module, "steps": route.steps, "watched": route.watched}
    places = {"base": str(base), "results": str(results), "facts": facts}
    job.write_text(json.dumps({**about, **places, **subject.as_json()}), "utf-8")
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "backend.testing.contract.path", str(job)],
            cwd=base,
            env=_environment(base),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield from _followed(route, process, results, facts)
        finally:
            _end(process)
    # models and pictures of a path that ended are of no more use
    for name in ("models", "host", "service"):
        shutil.rmtree(base / name, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a path with whatever it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _environment(base: Path) -> dict[str, str]:
    """A worker's, on one thread, with nothing of the user's to write into."""
    own = {
        "HOME": str(base), "TMPDIR": str(base / "tmp"), "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    return {**worker_environment(), **own}


def _followed(
    route: Route, process: subprocess.Popen[bytes], results: Path, facts: dict[str, Any]
) -> Iterator[Result]:
    """Results as they come; one more if the process overran its deadline or died."""
    deadline, ended = time.monotonic() + route.deadline_s, False
    with results.open(encoding="utf-8") as file:
        while not ended:
            over = time.monotonic() > deadline
            done = process.poll() is not None  # asked first, so that no line is missed
            for line in _lines(file):
                message = json.loads(line)
                if "facts" in message:
                    facts.update(message["facts"])
                    ended = True
                else:
                    yield Result(**message)
            if ended:
                return
            if done or over:
                why = (
                    f"it ended with status {process.returncode}"
                    if done
                    else (f"it took longer than {route.deadline_s:.0f} s")
                )
                yield Result(2, f"path {route.name}", "failed", why, route.deadline_s)
                return
            time.sleep(LOOK_S)


def _lines(file: Any) -> Iterator[str]:
    """Whole lines only: the last one may still be on its way."""
    while True:
        place = file.tell()
        line = file.readline()
        if not line.endswith("\n"):
            file.seek(place)
            return
        yield line
