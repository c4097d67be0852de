"""What a running service says of its own health, for `kino doctor`.

Knows: /readyz, the plugins and the operations.
Does not know: this machine (``cli.machine``); the service may run on another.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from backend.cli.finding import Finding

if TYPE_CHECKING:
    from backend.cli.client import Client

UNAVAILABLE: Final = 503


def findings(client: Client) -> Iterator[Finding]:
    """Ask the service. Raises `Unreachable` if there is none, `Failure` if it refuses."""
    said = client.ask("GET", "/readyz", accept=(UNAVAILABLE,))
    root = client.get("/")
    yield Finding("service", "ok", f"Kino {root['version']} answers at {client.url}")
    for each in said["workers"]:
        yield worker(each)
    yield comfyui(said["comfyui"])
    yield from custom_nodes(client.get("/v1/system")["comfyui"].get("packs", []))
    plugins = client.get("/v1/plugins")["items"]
    yield from _absent("plugin", plugins, "plugins")
    yield from _absent("operation", client.get("/v1/operations")["items"], "operations")


def worker(said: Mapping[str, Any]) -> Finding:
    """Whether a worker process serves."""
    name, state = f"worker {said['name']}", said["state"]
    if state == "ready":
        return Finding(name, "ok", "busy" if said["busy"] else "ready", essential=True)
    doing = f"{state}, {said['stage']}" if said.get("stage") else str(state)
    if said["starts"] > 1:
        text = f"{doing}; it was started {said['starts']} times"
        remedy = "The service's log says why it ends."
        return Finding(name, "missing", text, remedy, essential=True)
    return Finding(name, "note", doing, "Wait: it becomes ready by itself.", essential=True)


def comfyui(said: Mapping[str, Any]) -> Finding:
    """What became of ComfyUI; Kino works without it, but for what needs it."""
    state = said["state"]
    if state == "unavailable":
        return Finding("ComfyUI", "missing", str(said["reason"]), str(said["remedy"]))
    if state == "ready":
        return Finding("ComfyUI", "ok", f"{said.get('version') or 'another version'} is loaded")
    stage = f", {said['stage']}" if said.get("stage") else ""
    return Finding("ComfyUI", "note", f"{state}{stage}")


def custom_nodes(packs: list[dict[str, Any]]) -> Iterator[Finding]:
    """Each pack that is not loaded, or not as a whole; and one line for the others."""
    for pack in packs:
        name = f"custom nodes {pack['name']}"
        if pack["state"] in ("failed", "absent"):
            yield Finding(name, "missing", pack["reason"], pack["remedy"])
            continue
        for each in pack["refused"]:
            remedy = "Two packs that have the same names cannot be loaded together."
            text = f"{each['what']} is refused: {each['reason']}"
            yield Finding(name, "missing", text, remedy if "has a node" in text else "")
        if pack["missing"]:
            wanted = [each["requirement"] for each in pack["missing"]]
            remedy = f"uv pip install {shlex.join(wanted)}"
            yield Finding(name, "note", f"loaded, without {', '.join(wanted)}", remedy)
    if packs:
        loaded = [pack["name"] for pack in packs if pack["state"] == "loaded"]
        others = [pack["name"] for pack in packs if pack["state"] == "not enabled"]
        text = f"loaded: {', '.join(loaded) or 'none'}"
        text += f"; not enabled: {', '.join(others)}" if others else ""
        yield Finding("custom nodes", "ok", text)


def _absent(kind: str, items: list[dict[str, Any]], plural: str) -> Iterator[Finding]:
    """Each that cannot be used, or one line if all can."""
    absent = [item for item in items if item["unavailable"]]
    for item in absent:
        why = item["unavailable"]
        yield Finding(f"{kind} {item['name']}", "missing", why["reason"], why["remedy"])
    if not absent:
        yield Finding(plural, "ok", f"all {len(items)} are available")
