"""ComfyUI's signals for the lane: its interrupt flag, its out-of-memory errors, inference mode.

Knows: which exceptions of ComfyUI and torch mean "interrupted" and "out of memory".
Does not know: which job they belong to (`bricks.lane` does).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from backend.bricks._comfy import module
from backend.context import Cancelled
from backend.errors import OutOfMemory

R = TypeVar("R")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether *error* says that the device, or the machine, has no memory left."""
    if isinstance(error, MemoryError | module("torch").cuda.OutOfMemoryError):
        return True
    probe = getattr(module("comfy.model_management"), "is_oom", None)
    if probe is not None and isinstance(error, Exception) and probe(error):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def with_freed_memory(work: Callable[[], R]) -> R:
    """What *work* gives. If memory runs out, everything is freed, and it is done once more.

    Raises `OutOfMemory` if that was not enough.
    """
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # not inside the handler: what was raised holds the tensors that are in the way
    out_of_memory()
    try:
        return work()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory() from error


def out_of_memory() -> OutOfMemory:
    """The one error for it. Frees what ComfyUI holds, so that the next job finds memory."""
    management = module("comfy.model_management")
    management.unload_all_models()
    management.soft_empty_cache()
    return OutOfMemory(
        "The work did not fit into memory",
        remedy="Ask for fewer or smaller images, or for a shorter piece; then try again",
    )


class ComfySignals:
    """The `Signals` of a process in which ComfyUI was booted."""

    def __init__(self) -> None:
        self._management = module("comfy.model_management")
        self._torch = module("torch")

    def scope(self) -> AbstractContextManager[Any]:
        mode: AbstractContextManager[Any] = self._torch.inference_mode()
        return mode

    def clear(self) -> None:
        self._management.interrupt_current_processing(False)

    def interrupt(self) -> None:
        self._management.interrupt_current_processing(True)

    def translate(self, error: BaseException) -> BaseException | None:
        # since 0.20 an interruption is a BaseException, which nobody up here expects
        if isinstance(error, self._management.InterruptProcessingException):
            return Cancelled()
        return out_of_memory() if is_out_of_memory(error) else None
