"""The contract as a program.

Knows: the command line.
Does not know: anything of the contract.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from backend.testing.contract import interface, runner
from backend.testing.contract.steps import Result

_MARKS: Final = {"passed": "✓", "failed": "✗", "n/a": "–"}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="The contract that a ComfyUI tree must keep.")
    parser.add_argument("tree", type=Path)
    parser.add_argument("--into", type=Path, required=True, help="folder of the report")
    parser.add_argument("--overlay", type=Path, help="packages that this tree wants otherwise")
    parser.add_argument("--workflows", type=Path, help="JSON file of stored graphs by name")
    parser.add_argument("--packs", type=Path, help="folder of node packs")
    parser.add_argument("--pack", action="append", default=[], help="the name of one of them")
    parser.add_argument("--only", help="paths, with commas between")
    parser.add_argument(
        "--form", choices=("full", "short", "reference"), default="full", help="how much of it"
    )
    parser.add_argument("--before", type=Path, help="report.json of the tree to compare packs with")
    parser.add_argument("--snapshot", action="store_true", help="write interface.json from it")
    return parser


def main() -> int:
    """Run it; the status is 0 if the tree passed."""
    given = arguments().parse_args()
    forms = {"full": runner.ROUTES, "short": runner.SHORT, "reference": runner.REFERENCE}
    wanted = given.only.split(",") if given.only else None
    routes = [each for each in forms[given.form] if wanted is None or each.name in wanted]
    subject = runner.Subject(
        given.tree,
        given.overlay,
        json.loads(given.workflows.read_text("utf-8")) if given.workflows else {},
        _packs(given) if given.pack else {},
    )
    report = runner.contract(subject, given.into, routes=routes, tell=tell)
    if given.snapshot and "interface" in report.facts:
        facts = report.facts
        interface.write_snapshot(facts["version"], facts["interface"], interface.USES)
    told = "passed" if report.passed else "failed"
    print(f"{told} in {report.seconds} s; {given.into / 'report.json'}")  # noqa: T201
    return 0 if report.passed else 1


def _packs(given: argparse.Namespace) -> dict[str, Any]:
    """The operator's node packs, and what became of them on the tree before."""
    before = json.loads(given.before.read_text("utf-8"))["facts"] if given.before else {}
    return {
        "folder": str(given.packs),
        "names": given.pack,
        "before": before.get("packs", []),
    }


def tell(result: Result) -> None:
    """One line for each step."""
    mark = _MARKS[result.outcome]
    line = f"  {mark} {result.number:2} {result.name} ({result.seconds} s) {result.detail}"
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
