#!/usr/bin/env python3
"""Write what every node of Kino takes and gives, and shows, into the node pack for a plain ComfyUI.

Knows: the form of ``integrations/comfyui/kino_nodes/nodes.json``, and where its ``web`` comes from.
Does not know: how a node becomes one; the pack and the service read the same declarations.

::

    python scripts/node_pack.py            write it
    python scripts/node_pack.py --check    exit 1 if it is not what the registry says
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACK: Final = ROOT / "integrations" / "comfyui" / "kino_nodes"
TARGET: Final = PACK / "nodes.json"
WEB: Final = PACK / "web"


def described() -> dict[str, Any]:
    """Every node of the built-in plugins, by its id."""
    from backend.bricks import operation_nodes
    from backend.plugins import BUILT_IN

    operations: dict[str, Any] = {}
    shapes: list[Any] = []
    for name in BUILT_IN:
        plugin = importlib.import_module(name)
        operations |= {each.name: each for each in plugin.register_operations()}
        shapes += plugin.register_nodes() if hasattr(plugin, "register_nodes") else []
    classes = operation_nodes.classes(operations, shapes)
    return {each.node_id: _node(each.display_name, each.node) for each in classes}


def _node(display_name: str, node: Any) -> dict[str, Any]:
    inputs = node.INPUT_TYPES()
    return {
        "display_name": display_name,
        "category": node.CATEGORY,
        "description": node.DESCRIPTION,
        "input": {group: dict(inputs[group]) for group in ("required", "optional")},
        "answered": getattr(inputs["optional"], "answered", {}),
        "output": node.RETURN_TYPES,
        "output_name": node.RETURN_NAMES,
        "output_is_list": node.OUTPUT_IS_LIST,
        "output_node": node.OUTPUT_NODE,
        "lasting": not hasattr(node, "IS_CHANGED"),
    }


def text() -> str:
    """The whole file: a line for each node, so that a change reads well."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(node, ensure_ascii=False)}"
        for name, node in sorted(described().items())
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def web_files() -> dict[Path, bytes]:
    """What the editor loads, by its place below the pack's ``web``: the folders stand beside each
    other as in the service (``bricks.editor``), so that one imports from the other."""
    from backend.bricks.editor import ELEMENTS, STUDIO
    from backend.plugins import BUILT_IN

    folders = {ELEMENTS: STUDIO}
    for name in BUILT_IN:
        plugin = importlib.import_module(name)
        if hasattr(plugin, "register_web_assets"):
            folders[f"{ELEMENTS}-{plugin.name}"] = plugin.register_web_assets()
    return {
        Path(name) / path.relative_to(folder): path.read_bytes()
        for name, folder in folders.items()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".js", ".mjs")
    }


def _is_current(nodes: str, web: dict[Path, bytes]) -> bool:
    there = {path.relative_to(WEB): path.read_bytes() for path in WEB.rglob("*") if path.is_file()}
    same = TARGET.exists() and TARGET.read_text(encoding="utf-8") == nodes
    return same and there == web


def _write(nodes: str, web: dict[Path, bytes]) -> None:
    TARGET.write_text(nodes, encoding="utf-8")
    if WEB.exists():
        shutil.rmtree(WEB)
    for path, content in web.items():
        (WEB / path).parent.mkdir(parents=True, exist_ok=True)
        (WEB / path).write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    asked = parser.parse_args()
    now, web = text(), web_files()
    if asked.check:
        same = _is_current(now, web)
        print("the pack is up to date" if same else "the pack: run scripts/node_pack.py")
        return 0 if same else 1
    _write(now, web)
    print(f"{len(described())} nodes, {len(web)} files of the editor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
