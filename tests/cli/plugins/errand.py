"""A plugin for the command line's tests: values of every sort, long work, and work that fails.

Knows: how operations are declared.
Does not know: who runs them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le

from backend.media.audio import Audio
from backend.plugins import (
    LOCAL,
    Context,
    Model,
    Needs,
    Operation,
    OperationFailed,
    hookimpl,
    operation,
)

plugin_name = "errand"
plugin_summary = "Values, waiting and failing."


class Place(Model):
    """Somewhere."""

    name: str
    sound: Audio | None = None


@operation("errand.tell", pure=False)
def tell(
    text: str = "",
    mode: Literal["fast", "slow"] = "fast",
    loud: bool = False,
    count: Annotated[int, Ge(0), Le(9)] = 0,
    level: float | None = None,
    words: list[str] | None = None,
    places: list[Place] | None = None,
) -> dict[str, Any]:
    """Give back what was given."""
    told = [{"name": place.name, "heard": place.sound is not None} for place in places or []]
    return {
        "text": text,
        "mode": mode,
        "loud": loud,
        "count": count,
        "level": level,
        "words": words,
        "places": told,
    }


@operation("errand.takes", pure=False)
def takes(count: int = 2) -> list[Audio]:
    """Some sounds."""
    return [Audio.from_samples(np.full(100, n / 10, np.float32), 8000) for n in range(count)]


@operation("errand.wait", pure=False)
def wait(duration_s: float = 600.0, *, ctx: Context = LOCAL) -> float:
    """Wait, with progress."""
    begin = time.monotonic()
    while (spent := time.monotonic() - begin) < duration_s:
        ctx.progress(spent, duration_s)
        ctx.checkpoint()
        time.sleep(0.02)
    return duration_s


@operation("errand.hold", pure=False)
def hold(until: str, *, ctx: Context = LOCAL) -> str:
    """Wait for a file, half done."""
    while not Path(until).exists():
        ctx.progress(1, 2)
        ctx.checkpoint()
        time.sleep(0.02)
    return "held"


@operation("errand.fail", pure=False)
def fail() -> float:
    """Fail."""
    raise OperationFailed("the errand came to nothing", remedy="Do not run it.")


@operation("errand.absent", needs=Needs(modules=("no_such_module_anywhere",)))
def absent() -> float:
    """Cannot be run here."""
    return 0.0


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """All of them."""
    return [tell, takes, wait, hold, fail, absent]
