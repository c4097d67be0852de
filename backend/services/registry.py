"""The registry: which operations there are, and which of them can run now.

Knows: what the plugin host declared, and what the workers reported of themselves.
Does not know: how an operation is run or shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backend.errors import DeadlineExceeded, UnknownName, near_names
from backend.operations import Operation, Unavailable
from backend.services.plugin_host import PluginHost

LOOK_S: Final = 5.0
"""Time that a disk has to say whether a file is there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation, the plugin that gave it, and why it cannot run now (or ``None``).

    ``is_declared`` is false for a stored workflow, which no plugin declares: it has no node.
    """

    operation: Operation[..., Any]
    plugin: str
    unavailable: Unavailable | None
    is_declared: bool = True


class Registry:
    """A live view of the host's operations."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host
        self._reported: dict[str, dict[str, Unavailable]] = {}
        self._stored: dict[str, tuple[Operation[..., Any], str]] = {}
        self._families: dict[str, str] = {}
        self._looking: asyncio.Future[None] | None = None

    def get(self, name: str) -> Entry:
        """The operation called *name*. Raises `UnknownName`, with near matches as the remedy."""
        found = self._host.operations.get(name)
        if found is None and name in self._stored:
            return self._like(*self._stored[name])
        if found is None:
            near = near_names(name, [*self._host.operations, *self._stored])
            raise UnknownName(
                f"there is no operation {name[:80]!r}",
                remedy=f"Did you mean {near}?" if near else "See GET /v1/operations.",
            )
        return self._entry(name, *found)

    def all(self) -> list[Entry]:
        """Every operation, in the order of declaration."""
        declared = self._host.operations
        stored = [each for name, each in self._stored.items() if name not in declared]
        return [
            *(self._entry(name, *found) for name, found in declared.items()),
            *(self._like(*each) for each in stored),
        ]

    def offer(self, operation: Operation[..., Any], like: str) -> None:
        """Add an operation that no plugin declares, or replace it. It is run by the one called
        *like*, hence available whenever that is."""
        self._stored[operation.name] = (operation, like)

    def withdraw(self, name: str) -> None:
        """Take back what was offered."""
        self._stored.pop(name, None)

    def adopt(self, family: str, like: str) -> None:
        """Whatever is called *family* and more is run by the operation called *like*."""
        self._families[family] = like

    def ran_by(self, name: str) -> Entry:
        """What runs the jobs of *name*: itself, or for one of a family that is not offered any
        more, what runs them all. Raises `UnknownName`."""
        try:
            return self.get(name)
        except UnknownName:
            for family, like in self._families.items():
                if name.startswith(family):
                    return self.get(like)
            raise

    def report(self, kind: str, unavailable: Mapping[str, Unavailable]) -> None:
        """Take what a worker of *kind* said of itself when it became ready; it replaces what the
        last one of its kind said."""
        self._reported[kind] = dict(unavailable)

    async def look_for_models(self) -> None:
        """Find out anew whether the models that operations need are there. One look at a time,
        in a thread: a disk that does not answer keeps nobody for longer than a while."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._host.look_for_models))
        await asyncio.wait({self._looking}, timeout=LOOK_S)

    async def missing_models(self, named: Sequence[tuple[str, str]]) -> Unavailable | None:
        """Why one of these models of plugins cannot be used, or ``None``. Raises
        `DeadlineExceeded` for a disk that does not answer."""
        try:
            async with asyncio.timeout(LOOK_S):
                return await asyncio.to_thread(self._host.missing_models, named)
        except TimeoutError as error:
            told = f"the disk of models did not answer within {LOOK_S:g} s"
            raise DeadlineExceeded(told, remedy="Look after the disk.") from error

    def availability(self, name: str) -> Unavailable | None:
        """Why *name* cannot run now, or ``None``. Raises `UnknownName`."""
        return self.get(name).unavailable

    def _like(self, operation: Operation[..., Any], like: str) -> Entry:
        runs = self.get(like)
        return Entry(operation, runs.plugin, runs.unavailable, is_declared=False)

    def _entry(
        self, name: str, operation: Operation[..., Any], plugin: str, why: Unavailable | None
    ) -> Entry:
        if why is None:
            why = self._reported.get(operation.needs.runs_on, {}).get(name)
        return Entry(operation, plugin, why)
