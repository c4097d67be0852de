"""What became of custom-node packs, and whether another ComfyUI does worse by them.

Knows: the states of a pack, and how two sets of reports are compared.
Does not know: how a pack is loaded (`bricks.packs`). Imports no ComfyUI.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from backend.bricks.pack_folders import Missing

State = Literal["loaded", "failed", "not enabled", "absent"]


@dataclass(frozen=True, slots=True)
class Refused:
    """Something of a pack that was not taken: a node, a route, a web folder; and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class PackReport:
    """What became of one pack. ``reason`` and ``remedy`` say why it is not loaded.

    ``error`` is the class of what it raised; ``nodes`` are those that it gave; ``missing`` are the
    requirements that are not met, though it may work without them; ``skipped`` are files of it
    that are not run; ``web`` says whether it brings files for the graph editor.
    """

    name: str
    state: State
    reason: str = ""
    remedy: str = ""
    error: str | None = None
    nodes: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
    missing: tuple[Missing, ...] = ()
    skipped: tuple[str, ...] = ()
    web: bool = False
    seconds: float = field(default=0.0, compare=False)

    def as_json(self) -> dict[str, Any]:
        """The report as ``/v1/system`` shows it."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> PackReport:
        """The inverse of `as_json`, for reports of another process."""
        refused = tuple(Refused(**each) for each in said["refused"])
        missing = tuple(Missing(**each) for each in said["missing"])
        lists = {"nodes": tuple(said["nodes"]), "skipped": tuple(said["skipped"])}
        return cls(**{**said, **lists, "refused": refused, "missing": missing})


@dataclass(frozen=True, slots=True)
class Packs:
    """All packs of a process, and which pack had which node, now or in an earlier process."""

    reports: tuple[PackReport, ...] = ()
    nodes: Mapping[str, str] = field(default_factory=dict)

    def whereabouts(self, node: str) -> str:
        """For a node class that is not there: which pack had it, and what became of that; else
        empty. The end of a sentence."""
        name = self.nodes.get(node)
        if name is None:
            return ""
        found = next((each for each in self.reports if each.name == name), None)
        had = f"; the custom-node pack {name!r} had it, "
        if found is None:
            return had + "which is not in the folder of custom nodes any more"
        if found.state == "not enabled":
            return had + "which is not enabled (KINO_COMFYUI__CUSTOM_NODES)"
        if found.state == "loaded":
            refused = {each.what: each.reason for each in found.refused}
            why = refused.get(f"node {node}")
            return had + (f"which was refused: {why}" if why else "and does not have it any more")
        return had + f"which is not loaded: {found.reason}"


def worsened(before: Iterable[PackReport], after: Iterable[PackReport]) -> list[str]:
    """What packs lose from *before* to *after* (say, under a newer ComfyUI), a sentence each.

    A pack that did not load before is nobody's fault now.
    """
    now = {report.name: report for report in after}
    told = []
    for old in before:
        new = now.get(old.name)
        if old.state != "loaded":
            continue
        if new is None or new.state != "loaded":
            why = new.reason if new is not None else "it was not tried"
            told.append(f"the custom-node pack {old.name!r} does not load any more: {why}")
            continue
        reasons = {each.what: each.reason for each in new.refused}
        for node in old.nodes:
            if node not in new.nodes:
                why = reasons.get(f"node {node}", "it does not give it")
                told.append(f"the pack {old.name!r} has no node {node!r} any more: {why}")
    return told
