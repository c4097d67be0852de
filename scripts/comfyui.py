#!/usr/bin/env python3
"""Put the pinned ComfyUI in place, prove that it is the pinned one, or use another tree.

Knows: the command line.
Does not know: how a command does its work (``comfyui_tree``). Standard library only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import setup_steps as steps
from comfyui_tree import choosing, pinned
from setup_steps import ROOT


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="The ComfyUI that Kino imports.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--lock", type=Path, default=pinned.LOCK, help="the pin (backend/comfyui.lock)"
    )
    shared.add_argument(
        "--target", type=Path, default=pinned.TARGET, help="the tree (backend/ComfyUI)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("install", parents=[shared], help="fetch the pinned tree")
    one.add_argument("--sdist", type=Path, help="take it from this source distribution")
    one.add_argument("--replace", action="store_true", help="replace a tree that differs")
    commands.add_parser("verify", parents=[shared], help="compare the tree with the pin")
    commands.add_parser("status", parents=[shared], help="say what is pinned and in place")
    one = commands.add_parser("use", parents=[shared], help="use another ComfyUI tree")
    one.add_argument("path", type=Path)
    one.add_argument(
        "--accept-modified", action="store_true", help="though it differs from the pin"
    )
    one.add_argument("--env-file", type=Path, default=ROOT / ".env", help="where to write it")
    return parser


def main() -> int:
    """Run one command."""
    given = arguments().parse_args()
    if given.command == "install":
        source = pinned.install(given.lock, given.target, sdist=given.sdist, replace=given.replace)
        print(f"{given.target}: verified" + (f" (from {source})" if source else ""))
    elif given.command == "verify":
        found = pinned.verify(given.lock, given.target)
        print("\n".join(found) if found else f"{given.target}: verified")
        return 1 if found else 0
    elif given.command == "status":
        print("\n".join(pinned.status(given.lock, given.target)))
    else:
        choosing.use(given.lock, given.path, given.env_file, accept_modified=given.accept_modified)
        print(f"{given.env_file}: Kino now uses {given.path}; restart it")
    return 0


if __name__ == "__main__":
    steps.main_guard(main)
