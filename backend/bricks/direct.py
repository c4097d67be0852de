"""Verbs called directly, without a graph: on the lane, with progress and previews.

Knows: how a piece of work becomes part of the job that runs, or a job of its own.
Does not know: which verbs it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from backend.bricks import _compat, session
from backend.bricks.interruption import with_freed_memory
from backend.bricks.lane import current
from backend.bricks.node_classes import call_node, with_defaults
from backend.bricks.progress import Plan
from backend.bricks.recording import record
from backend.context import Context

R = TypeVar("R")


def run(work: Callable[[], R], ctx: Context) -> R:
    """Do *work*, which calls verbs; returns what it returns.

    A running sampler reports its steps to the job's context, shows what it has so far, and can be
    interrupted. Inside a node of a graph it is that node which makes progress. Raises `Cancelled`,
    `OutOfMemory`, `ComfyUIIncompatible` if ComfyUI was not booted, and whatever *work* raises.
    """
    booted = session.booted()
    if current().running() is None:
        return current().run(lambda: run(work, ctx), "direct", ctx)
    if booted.hook.graph is not None:
        return work()
    booted.hook.install()
    _compat.show_previews()
    return work()


@contextmanager
def planned(total: int) -> Iterator[None]:
    """Within this block progress counts the steps of `part`, *total* in all, and nothing else."""
    hook = session.booted().hook
    hook.plan = Plan(total)
    try:
        yield
    finally:
        hook.plan = None


@contextmanager
def part(steps: int) -> Iterator[None]:
    """Within this block runs what counts for so many steps of what was `planned`."""
    plan = session.booted().hook.plan
    if plan is None:
        yield
        return
    plan.under_way = steps
    yield
    plan.done, plan.under_way = plan.done + steps, 0.0


def verb(name: str, **inputs: Any) -> tuple[Any, ...]:
    """Call a stock node as a verb: recorded, and once more with freed memory if it ran out.

    An input that is None is left out. Raises `OutOfMemory` and what `node_classes.call_node` does.
    """
    given = with_defaults(name, {key: value for key, value in inputs.items() if value is not None})
    outputs = with_freed_memory(lambda: call_node(name, **given))
    record(name, given, outputs)
    return outputs
