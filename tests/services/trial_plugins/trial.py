"""A plugin whose operations behave as tests need: slow, failing, deaf, deadly.

Knows: how often an attempt was made, by a file that grows by one byte each time.
Does not know: which test uses it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from backend.media.audio import Audio
from backend.media.dependence import ModelIn
from backend.media.image import Image
from backend.plugins import (
    LOCAL,
    Context,
    Needs,
    Operation,
    OperationFailed,
    UpstreamFailed,
    hookimpl,
    models_folder,
    operation,
)


def _attempt(counter: str) -> int:
    """Count this attempt; 1 for the first."""
    with Path(counter).open("ab") as file:
        file.write(b"x")
    return Path(counter).stat().st_size


@operation("test.sleep", pure=False)
def sleep(steps: int = 1, duration_ms: float = 0.0, *, ctx: Context = LOCAL) -> int:
    """Sleep in steps, each with progress."""
    for step in range(steps):
        ctx.progress(step, steps)
        end = time.monotonic() + duration_ms / 1000
        while (left := end - time.monotonic()) > 0:
            ctx.checkpoint()
            time.sleep(min(left, 0.01))
    ctx.progress(steps, steps)
    return steps


def _held_until(until: str, ctx: Context) -> None:
    """Say that half of it is done, over and over, until there is a file *until*."""
    while not Path(until).exists():
        ctx.progress(1, 2)
        ctx.checkpoint()
        time.sleep(0.01)
    ctx.progress(2, 2)


@operation("test.hold", pure=False)
def hold(until: str, *, ctx: Context = LOCAL) -> str:
    """Run until the test says so by a file: however slow the machine is, it runs before and is
    over soon after."""
    _held_until(until, ctx)
    return "held"


@operation("test.fail", pure=False)
def fail(times: int, counter: str) -> int:
    """Fail in a way that may pass, for the first *times* attempts."""
    attempt = _attempt(counter)
    if attempt <= times:
        raise UpstreamFailed(f"planned failure {attempt}")
    return attempt


@operation("test.bug", pure=False)
def bug() -> int:
    """Raise what nobody expects."""
    raise RuntimeError("a secret path: /home/somebody")


@operation("test.memory", pure=False)
def memory(counter: str) -> int:
    """Run out of memory."""
    _attempt(counter)
    raise MemoryError


@operation("test.die", pure=False)
def die(times: int, counter: str) -> int:
    """Kill the worker, for the first *times* attempts."""
    attempt = _attempt(counter)
    if attempt <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt


@operation("test.exit", pure=False)
def leave() -> int:
    """Try to end the process as a library might."""
    raise SystemExit(3)


@operation("test.deaf", pure=False)
def deaf(seconds: float, *, ctx: Context = LOCAL) -> float:
    """Say that it begins, then work without ever looking whether to stop."""
    ctx.log("begun")
    time.sleep(seconds)
    return seconds


@operation("test.say", pure=False)
def say(lines: list[str], *, ctx: Context = LOCAL) -> str:
    """Log each line, print one, show a preview."""
    for line in lines:
        ctx.log(line)
    ctx.preview(Image.from_array(np.full((8, 8, 3), 0.5, np.float32)))
    return "said"


class Made(NamedTuple):
    """Several outputs of every arity."""

    picture: Image
    takes: list[Audio]
    stems: dict[str, Audio]
    number: int


def _tone(frames: int) -> Audio:
    return Audio.from_samples(np.linspace(-1, 1, frames, dtype=np.float32), 8000)


@operation("test.make")
def make(size: int = 4, frames: int = 10) -> Made:
    """Make an image, two takes, the first of *frames*, and two stems."""
    picture = Image.from_array(np.full((size, size, 3), 0.25, np.float32))
    stems = {"drums": _tone(30), "bass": _tone(40)}
    return Made(picture, [_tone(frames), _tone(20)], stems, size)


@operation("test.measure")
def measure(audio: Audio) -> float:
    """The duration of an asset."""
    return audio.duration_s


@operation("test.fetch", pure=False)
async def fetch(milliseconds: float = 1.0, *, ctx: Context = LOCAL) -> str:
    """Wait on the event loop."""
    ctx.progress(0, 1)
    await asyncio.sleep(milliseconds / 1000)
    return "fetched"


@operation("test.torch", needs=Needs(runs_on="comfy"), pure=False)
def heavy(milliseconds: float = 1.0, *, ctx: Context = LOCAL) -> str:
    """Run in the other worker."""
    sleep(1, milliseconds, ctx=ctx)
    return "heavy"


@operation("test.work")
def work(
    counter: str,
    steps: int = 1,
    duration_ms: float = 0.0,
    seed: int | None = 0,
    fails: bool = False,
    until: str = "",
    *,
    ctx: Context = LOCAL,
) -> Image:
    """Make a picture of the seed, not before the file *until* is there; how often it was made
    stands in *counter*."""
    _attempt(counter)
    ctx.log("begun")
    if until:
        _held_until(until, ctx)
    else:
        sleep(steps, duration_ms, ctx=ctx)
    if fails:
        raise OperationFailed("as planned")
    return Image.from_array(np.full((8, 8, 3), (seed or 0) / 1000, np.float32))


_held: list[str] = []


@operation("test.load")
def load(model: Annotated[str, ModelIn("checkpoints")], loads: str, number: int = 0) -> str:
    """Load a model unless it is the one that was used last; each load is a line in *loads*."""
    content = (models_folder() / "checkpoints" / model).read_text()
    if _held != [model]:
        _held[:] = [model]
        with Path(loads).open("a") as file:
            file.write(f"{model}\n")
    return f"{content} {number}"


@hookimpl
def register_operations() -> Sequence[Operation[..., Any]]:
    """All of them."""
    return [
        *(sleep, hold, fail, bug, memory, die, leave, deaf, say, make, measure, fetch, heavy),
        *(work, load),
    ]
