"""The operator's own node packs on this tree: none may lose what it has on the present one.

Knows: how they are loaded beside Kino's nodes, as a worker does it.
Does not know: which packs there are. In a process of its own: packs may write and connect.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backend.bricks import packs
from backend.bricks.pack_report import PackReport, worsened
from backend.testing.contract.booting import boot, operations
from backend.testing.contract.steps import Bench, NotApplicable, Step, require

LIMIT_S: Final = 60.0


def loads(bench: Bench) -> str:
    """Every enabled pack is loaded; one that loses nodes, or does not load any more, is named."""
    if not bench.packs:
        raise NotApplicable("no packs are enabled")
    boot(bench)
    operations(bench)
    folder, names = Path(bench.packs["folder"]), bench.packs["names"]
    found = packs.load(folder, names, bench.base, seconds=LIMIT_S)
    bench.facts["packs"] = [each.as_json() for each in found]
    before = [PackReport.from_json(each) for each in bench.packs.get("before") or ()]
    told = worsened(before, found)
    require(not told, "; ".join(told))
    good = [each for each in found if each.state == "loaded"]
    return f"{len(good)} of {len(names)} packs loaded"


STEPS: Final = (Step(3, "the operator's node packs", loads),)
