#!/usr/bin/env python3
"""Put the pinned ComfyUI in place and prove it, upgrade it and go back, or use another tree.

Knows: the command line.
Does not know: how a command does its work (``comfyui_tree``). Standard library only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import setup_steps as steps
from comfyui_tree import choosing, matrix, pinned, proving, upgrading
from service_child import read_settings
from setup_steps import ROOT

FORMS = ("full", "short", "reference")
REPORTS = ROOT / "backend" / "ComfyUI.matrix"


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
    one.add_argument("path", type=Path, nargs="?", help="the root folder of an installation")
    one.add_argument("--pinned", action="store_true", help="back to the one in backend/ComfyUI")
    one.add_argument(
        "--accept-modified", action="store_true", help="though it differs from the pin"
    )
    one.add_argument("--env-file", type=Path, default=ROOT / ".env", help="where to write it")
    _add_upgrades(commands, shared)
    return parser


def _use(given: argparse.Namespace) -> list[str]:
    if given.pinned == (given.path is not None):
        raise steps.Stop("Give the folder of a ComfyUI, or --pinned: 'use PATH' or 'use --pinned'.")
    if given.pinned:
        return choosing.use_pinned(given.env_file)
    accepted = given.accept_modified
    return choosing.use(given.lock, given.path, given.env_file, accept_modified=accepted)


def _add_upgrades(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], shared: argparse.ArgumentParser
) -> None:
    one = commands.add_parser("upgrade", parents=[shared], help="prove another tree and swap it in")
    one.add_argument("what", metavar="VERSION|PATH", help="a release, commit, folder or archive")
    one.add_argument("--check", action="store_true", help="prove it and change nothing")
    one.add_argument("--form", choices=FORMS, default="full", help="how much of the contract")
    one.add_argument(
        "--without-packs", action="store_true", help="whatever becomes of custom-node packs"
    )
    one.add_argument("--data-dir", type=Path, help="whose stored workflows are looked at")
    commands.add_parser("rollback", parents=[shared], help="bring the former tree back")
    one = commands.add_parser("contract", parents=[shared], help="prove the tree in place")
    one.add_argument("--into", type=Path, default=REPORTS, help="folder of the report")
    one.add_argument("--form", choices=FORMS, default="full", help="how much of the contract")
    one = commands.add_parser("matrix", parents=[shared], help="prove every known release")
    one.add_argument("--into", type=Path, default=REPORTS, help="folder of trees and reports")
    one.add_argument("--only", nargs="*", default=[], metavar="VERSION", help="these alone")
    one.add_argument(
        "--tree", nargs="*", default=[], metavar="VERSION=PATH", help="where a tree lies already"
    )


def run_upgrade(given: argparse.Namespace) -> str:
    """Upgrade as the command line says; returns the last sentence."""
    settings = read_settings(port=None, data_dir=given.data_dir)
    own = proving.Own(
        upgrading.stored_workflows(settings.data_dir),
        settings.packs,
        [] if given.without_packs else settings.pack_names,
    )
    options = upgrading.Options(given.check, given.form, own)
    return upgrading.upgrade(given.what, given.target, given.lock, options)


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
    elif given.command == "upgrade":
        print(run_upgrade(given))
    elif given.command == "rollback":
        print(upgrading.rollback(given.target, given.lock))
    elif given.command == "contract":
        return 0 if matrix.prove(given.target, given.lock, given.into, given.form) else 1
    elif given.command == "matrix":
        print(matrix.run(given.lock, given.into, matrix.trees(given.tree), given.only))
    else:
        print("\n".join(_use(given)))
    return 0


if __name__ == "__main__":
    steps.main_guard(main)
