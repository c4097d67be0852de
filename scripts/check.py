#!/usr/bin/env python3
"""Run every check that reads the source: format, lint, types, floors, generated documents.

Knows: the commands. Does not know: the rules, which stand in pyproject.toml.

    python3 scripts/check.py          run all
    python3 scripts/check.py --fix    first mend what the tools can mend
"""

import supported_python

supported_python.require("scripts/check.py")

import argparse  # noqa: E402 (only a supported Python can read what follows)
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import setup_steps as steps  # noqa: E402


def checks() -> dict[str, list[str | Path]]:
    """Name and command of every check."""
    tool = steps.environment_tool
    found: dict[str, list[str | Path]] = {
        "format": [tool("ruff"), "format", "--check", "."],
        "lint": [tool("ruff"), "check", "."],
        "types": [tool("mypy")],
        "floors": [tool("lint-imports"), "--no-cache"],
    }
    documents = steps.ROOT / "scripts" / "docs.py"
    if documents.exists():
        found["documents"] = [tool("python"), documents, "--check"]
    return found


def fixes() -> list[list[str | Path]]:
    """Commands that mend what can be mended without thought."""
    tool = steps.environment_tool
    found: list[list[str | Path]] = [
        [tool("ruff"), "check", "--fix", "--quiet", "."],
        [tool("ruff"), "format", "--quiet", "."],
    ]
    documents = steps.ROOT / "scripts" / "docs.py"
    if documents.exists():
        found.append([tool("python"), documents])
    return found


def main() -> int:
    """Run the checks; 0 if all pass."""
    parser = argparse.ArgumentParser(description="Format, lint, types, floors, documents.")
    parser.add_argument("--fix", action="store_true", help="first mend what the tools can mend")
    fix = parser.parse_args().fix
    if not steps.environment_tool("ruff").exists():
        steps.make_environment()
        steps.get_uv()
        steps.sync_packages(dev=True)
    if fix:
        for words in fixes():
            steps.run(words)
    failed = []
    for name, words in checks().items():
        started = time.monotonic()
        said = steps.run(words)
        passed = said.returncode == 0
        print(f"  {'✓' if passed else '✗'} {name} ({time.monotonic() - started:.1f} s)", flush=True)
        if not passed:
            failed.append(name)
            print(said.stdout.rstrip(), flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all checks pass")
    return 1 if failed else 0


if __name__ == "__main__":
    steps.main_guard(main)
