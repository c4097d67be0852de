"""The report of an upgrade: what the candidate brings, takes away and breaks.

Knows: two reports of the contract, the candidate's and the present tree's.
Does not know: how they were made. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from backend.testing.contract import interface

SHOWN: Final = 12
"""Names in a line; a report is read by people."""

Report = dict[str, Any]


def lines(new: Report, old: Report | None, packages: Sequence[str]) -> Iterator[str]:
    """The report, a line each. *old* is None where the present tree could not be asked."""
    facts, before = new["facts"], (old or {}).get("facts", {})
    yield f"version      {before.get('version', 'none')} → {facts.get('version', 'unknown')}"
    yield f"packages     {_some(packages) or 'as they are'}"
    for kind in ("samplers", "schedulers"):
        yield f"{kind:12} {_difference(before.get(kind), facts.get(kind))}"
    yield from _nodes(before.get("interface"), facts.get("interface"))
    yield f"signatures   {_step(new, 'signatures')}"
    yield f"templates    {_step(new, 'shipped templates')}"
    yield from _workflows(before.get("workflows") or {}, facts.get("workflows") or {})
    yield from _packs(before.get("packs") or [], facts.get("packs") or [])
    yield f"golden image {golden(facts, before)}"
    yield f"contract     {summary(new)}"


def golden(facts: Report, before: Report) -> str:
    """Whether the same seed gives the same picture, to the last bit."""
    if not facts.get("golden"):
        return "not made"
    if not before.get("golden"):
        return f"made ({facts['golden'][:12]}), nothing to compare with"
    return "equal" if facts["golden"] == before["golden"] else "different"


def summary(report: Report) -> str:
    """``38 of 39 steps passed, 1 n/a``, and the failed ones."""
    ends = [each["outcome"] for each in report["results"]]
    told = f"{ends.count('passed')} of {len(ends)} steps passed"
    if "n/a" in ends:
        told += f", {ends.count('n/a')} n/a"
    failed = [f"{each['number']} {each['name']}" for each in failures(report)]
    return told + (f", failed: {', '.join(failed)}" if failed else "")


def failures(report: Report) -> list[dict[str, Any]]:
    """The steps that failed."""
    return [each for each in report["results"] if each["outcome"] == "failed"]


def _step(report: Report, name: str) -> str:
    for each in report["results"]:
        if each["name"] == name:
            return str(each["detail"]) if each["outcome"] != "passed" else f"good, {each['detail']}"
    return "not looked at"


def _difference(before: list[str] | None, after: list[str] | None) -> str:
    if before is None or after is None:
        return "not compared"
    new = [f"+{name}" for name in after if name not in before]
    gone = [f"-{name}" for name in before if name not in after]
    return " ".join([*new, *gone]) or f"the same {len(after)}"


def _nodes(before: Report | None, after: Report | None) -> Iterator[str]:
    if before is None or after is None:
        yield "nodes        not compared"
        return
    old, new = before["nodes"], after["nodes"]
    yield f"nodes        {len(new)}, {len(new.keys() - old.keys())} of them new"
    gone = sorted(old.keys() - new.keys())
    yield f"  removed    {_some(gone) or 'none'}"
    changed, asked = [], []
    for name in sorted(old.keys() & new.keys()):
        found = interface.changes(old[name], new[name])
        changed += [name] if found else []
        asked += [f"{name}: {told}" for told, breaks in found if breaks]
    yield f"  changed    {_some(changed) or 'none'}"
    yield f"  breaking   {_some(asked, '; ') or 'none'}"


def _workflows(before: dict[str, list[str]], after: dict[str, list[str]]) -> Iterator[str]:
    worse = {name: told for name, told in after.items() if name not in before}
    yield (
        f"workflows    {len(worse)} stored ones affected"
        if worse
        else ("workflows    no stored one is affected")
    )
    for name, told in sorted(worse.items()):
        yield f"  {name}: {told[0]}"


def _packs(before: list[Report], after: list[Report]) -> Iterator[str]:
    """What the operator's node packs lose; one that did not load before is nobody's fault now."""
    loaded = [each for each in before if each["state"] == "loaded"]
    now, lost = {each["name"]: each for each in after}, []
    for old in loaded:
        new = now.get(old["name"], {"state": "absent", "reason": "it was not tried", "nodes": []})
        gone = [name for name in old["nodes"] if name not in new["nodes"]]
        if new["state"] != "loaded":
            lost.append(f"{old['name']}: {new['reason']}")
        elif gone:
            lost.append(f"{old['name']}: without {_some(gone)}")
    good = sum(each["state"] == "loaded" for each in after)
    told = f"{good} loaded" if after else "none are enabled"
    yield f"node packs   {told}" + (f", {len(lost)} lose something" if lost else "")
    yield from (f"  {line}" for line in lost)


def _some(names: Iterable[str], between: str = ", ") -> str:
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return between.join(every[:SHOWN]) + more
