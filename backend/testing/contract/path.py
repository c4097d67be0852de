"""One path of the contract, in this process: watched from the first import to the last step.

Knows: which module holds which path, and where results go.
Does not know: the other paths (``runner`` starts each in a process of its own).

    python -P -m backend.testing.contract.path NAME JOB.json
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.testing.contract.steps import Bench, Result, Step, perform
from backend.testing.contract.watch import Watch


def run(job: dict[str, Any]) -> None:
    """Run the steps that *job* names; each result is a line of JSON in its file, facts the last."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    base = Path(job["base"])
    watch = Watch(base, Path(job["tree"]))
    file = Path(job["results"]).open("a", encoding="utf-8")  # noqa: SIM115 (before the watch)
    watch.start()
    steps: tuple[Step, ...] = getattr(
        importlib.import_module(f"backend.testing.contract.{job['module']}"), job["steps"]
    )
    overlay = Path(job["overlay"]) if job.get("overlay") else None
    stored, packs = job.get("workflows") or {}, job.get("packs") or {}
    bench = Bench(Path(job["tree"]), base, overlay, stored, packs, job["facts"])
    with file:

        def tell(result: Result) -> None:
            print(json.dumps(asdict(result)), file=file, flush=True)

        perform(steps, bench, tell)
        if job["watched"]:
            last = Step(2, "nothing outside of base", lambda _: _kept_inside(watch))
            perform([last], bench, tell)
        print(json.dumps({"facts": bench.facts}), file=file, flush=True)


def _kept_inside(watch: Watch) -> str:
    from backend.testing.contract.steps import require

    require(not watch.written, f"written: {', '.join(watch.written[:5])}")
    require(not watch.connected, f"connected: {', '.join(watch.connected[:5])}")
    return "no writes elsewhere, no network"


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text("utf-8")))
