#!/usr/bin/env python3
"""Write the pages that are made from the source; with --check only say which are out of date.

Knows: the pages and where they lie.
Does not know: what is on them (``docs_pages``).
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from docs_pages import environment, hooks, mixdoc, nodes, operations, problems

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final[dict[str, Callable[[], str]]] = {
    ".env.example": environment.page,
    "docs/hooks.md": hooks.page,
    "docs/mixdoc.schema.json": mixdoc.page,
    "docs/nodes.md": nodes.page,
    "docs/operations.md": operations.page,
    "docs/problems.md": problems.page,
}


def drift(root: Path) -> dict[str, str]:
    """The pages that are out of date: path → a unified diff to what they should say."""
    found = {}
    for name, make in PAGES.items():
        path = root / name
        old = path.read_text("utf-8") if path.exists() else ""
        new = make()
        if old != new:
            lines = difflib.unified_diff(
                old.splitlines(), new.splitlines(), name, f"{name} (new)", lineterm="", n=1
            )
            found[name] = "\n".join(lines)
    return found


def write(root: Path) -> list[str]:
    """Write what is out of date; gives the paths."""
    stale = list(drift(root))
    for name in stale:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGES[name](), "utf-8")
    return stale


def main() -> int:
    """Write or check; 1 if a page is out of date and was only checked."""
    parser = argparse.ArgumentParser(description="Write the pages that are made from the source.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on drift")
    parser.add_argument("--root", type=Path, default=ROOT, help="where the pages lie")
    given = parser.parse_args()
    if not given.check:
        print("\n".join(f"written: {name}" for name in write(given.root)) or "nothing to write")
        return 0
    stale = drift(given.root)
    for difference in stale.values():
        print(difference)
    if stale:
        print(f"Out of date: {', '.join(stale)}. Run scripts/docs.py to write them again.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
