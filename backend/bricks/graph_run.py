"""The graph that runs: what its nodes may ask of it, and what they hand to it.

Knows: the assets that the graph names, what nodes saved, which error a node raised.
Does not know: how the graph is executed (`bricks.graph`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from backend.bricks.engine import Produced
from backend.bricks.lane import Running
from backend.errors import KinoError, OperationFailed
from backend.media.reference import MediaValue


@dataclass(slots=True)
class GraphRun:
    """One run of a graph."""

    running: Running
    assets: Mapping[str, MediaValue]
    saved: list[Produced] = field(default_factory=list)
    errors: dict[str, KinoError] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    told: bool = False
    """Whether a stock client is told what nodes saved."""

    def asset(self, reference: str) -> MediaValue:
        """The value of a reference. Raises `OperationFailed` if the graph does not name it."""
        if reference not in self.assets:
            raise OperationFailed(f"the graph has no asset {reference!r}")
        return self.assets[reference]


_run: GraphRun | None = None


@contextmanager
def running_graph(run: GraphRun) -> Iterator[None]:
    """Within this block *run* is the one. Raises `OperationFailed` inside of another."""
    global _run  # noqa: PLW0603 (one lane, one graph; nodes have no other way to find it)
    if _run is not None:
        raise OperationFailed("a graph cannot run inside another graph")
    _run = run
    try:
        yield
    finally:
        _run = None


def find() -> GraphRun | None:
    """The graph that runs now, if one does."""
    return _run


def current() -> GraphRun:
    """The graph that runs now. Raises `OperationFailed` outside of one."""
    if _run is None:
        raise OperationFailed("this node works inside a graph that Kino runs")
    return _run
