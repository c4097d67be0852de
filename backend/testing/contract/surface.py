"""The first path: the tree itself, a clean boot, its nodes and functions, and the graphs we ship.

Knows: steps 1 to 6 of the contract.
Does not know: what nodes do when they run.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement

from backend.bricks import graph, identity, node_classes, session
from backend.errors import InvalidParameters
from backend.testing.contract import interface, signatures
from backend.testing.contract.booting import boot, operations
from backend.testing.contract.steps import Bench, NotApplicable, Step, require

TEMPLATES: Final = Path(graph.__file__).parents[1] / "plugins" / "workflows" / "templates"
_MODEL_FILES: Final = (".safetensors", ".sft", ".pt", ".pth", ".bin", ".ckpt", ".gguf")


def whole(bench: Bench) -> str:
    """1: what identifies the tree, and every requirement satisfied."""
    for name in ("nodes.py", "execution.py", "server.py", "comfy/sd.py", "requirements.txt"):
        require((bench.tree / name).is_file(), f"there is no {name}")
    bench.facts["tree_sha1"] = identity.tree_sha1(bench.tree)
    missing = list(unmet(bench.tree / "requirements.txt", bench.overlay))
    require(not missing, "; ".join(missing))
    return f"tree {bench.facts['tree_sha1'][:12]}"


def unmet(requirements: Path, overlay: Path | None) -> Iterator[str]:
    """A sentence for each requirement that neither the overlay nor the environment meets."""
    places = [str(overlay), *sys.path] if overlay is not None else list(sys.path)
    for line in requirements.read_text("utf-8").splitlines():
        try:
            wanted = Requirement(line.partition("#")[0].strip())
        except InvalidRequirement:
            continue  # blank lines, comments
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        found = next(iter(importlib.metadata.distributions(name=wanted.name, path=places)), None)
        if found is None:
            yield f"{wanted} is not installed"
        elif not wanted.specifier.contains(found.version, prereleases=True):
            yield f"{wanted} is wanted, and {found.version} is installed"


def boots(bench: Bench) -> str:
    """2: every module from the tree, nothing written outside of base, nothing sent."""
    info = boot(bench)
    bench.facts |= {
        "version": info.version,
        "samplers": list(info.samplers),
        "schedulers": list(info.schedulers),
        "dropped_flags": list(info.dropped_flags),
        "failed_nodes": list(info.failed_nodes),
        "boot_s": info.boot_s,
    }
    strangers = session.booted().finder.strangers()
    require(not strangers, f"modules from elsewhere: {', '.join(strangers[:5])}")
    return f"ComfyUI {info.version}, {info.nodes} nodes, {info.boot_s} s"


def node_files(bench: Bench) -> str:
    """3: no file of nodes failed, and the nodes that we call are there."""
    session.booted()
    failed = bench.facts["failed_nodes"]
    require(not failed, f"node files failed: {', '.join(failed)}")
    missing = sorted(set(interface.USES) - set(node_classes.names()))
    require(not missing, f"nodes that Kino calls are missing: {', '.join(missing)}")
    return f"{len(interface.USES)} needed nodes"


def same_interface(bench: Bench) -> str:
    """4: nodes that we call or ship take and give what the pin's do."""
    session.booted()
    full: interface.Interface = {
        "nodes": {
            name: interface.described(node_classes.node_info(name))
            for name in node_classes.names()
            if not name.startswith(("Contract", "Kino"))
        },
        "samplers": bench.facts["samplers"],
        "schedulers": bench.facts["schedulers"],
    }
    bench.facts["interface"] = full
    told = interface.breaches(full)
    require(not told, "; ".join(told))
    pinned = interface.snapshot()
    new, gone = set(full["nodes"]) - set(pinned["names"]), set(pinned["names"]) - set(full["nodes"])
    changed = [
        name
        for name, node in pinned["nodes"].items()
        if name in full["nodes"] and interface.changes(node, full["nodes"][name])
    ]
    return (
        f"{len(full['nodes'])} nodes; against the pin {len(new)} new, {len(gone)} gone; "
        f"of those that bricks call {len(changed)} changed"
    )


def functions(bench: Bench) -> str:
    """5: the functions that bricks call take what they are given."""
    session.booted()
    misfits = signatures.misfits()
    require(not misfits, "; ".join(misfits))
    return f"{len(signatures.CALLS)} functions"


def shipped(bench: Bench) -> str:
    """6: every shipped template validates once defaults are filled in; stored ones are told."""
    describe = operations(bench)["workflows.describe"]
    templates = {file.stem: json.loads(file.read_text("utf-8")) for file in _template_files()}
    bench.facts["workflows"] = {
        name: told for name, each in bench.workflows.items() if (told := refusals(each, describe))
    }
    if not templates:
        raise NotApplicable("no templates are shipped")
    bad = {name: told for name, each in templates.items() if (told := refusals(each, describe))}
    bench.facts["templates"] = bad
    require(not bad, "; ".join(f"{name}: {errors[0]}" for name, errors in bad.items()))
    return f"{len(templates)} templates"


def _template_files() -> list[Path]:
    return sorted(file for file in TEMPLATES.glob("**/*.json") if file.is_file())


def refusals(document: Mapping[str, Any], describe: Callable[..., Any]) -> list[str]:
    """Why a stored document could not run, files aside: those are the machine's and the caller's.

    *describe* is Kino's own operation, which turns the editor's format into a graph.
    """
    try:
        prompt = describe(workflow=dict(document)).graph
        for node in prompt.values():
            if node["class_type"] == "KinoLoadAsset":  # whoever runs it says which
                node["inputs"].setdefault("asset", f"blake3:{'0' * 64}")
        graph.validate(prompt)
    except InvalidParameters as error:
        return [each.message for each in error.errors if not _is_about_a_file(each.message)]
    return []


def _is_about_a_file(message: str) -> bool:
    return any(ending in message for ending in _MODEL_FILES)


STEPS: Final = (
    Step(1, "tree and requirements", whole),
    Step(2, "clean boot", boots),
    Step(3, "node files", node_files),
    Step(4, "node interfaces", same_interface),
    Step(5, "signatures", functions),
    Step(6, "shipped templates", shipped),
)
