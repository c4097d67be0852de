"""Devices and memory: what ComfyUI computes on, and how to give memory back.

Knows: the torch device, its memory, the models that are loaded.
Does not know: which job wants them.
"""

from __future__ import annotations

import gc
from dataclasses import asdict, dataclass
from typing import Any

from backend.bricks._comfy import module


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the main device in bytes, and how many models ComfyUI keeps loaded."""

    total: int
    free: int
    loaded_models: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def devices() -> tuple[str, ...]:
    """Names of the devices, the main one first: ``("cpu",)``, ``("cuda:0 NVIDIA H200",)``."""
    management = module("comfy.model_management")
    main = management.get_torch_device()
    every = getattr(management, "get_all_torch_devices", lambda: [main])()
    named = [_name(management, device) for device in [main, *every]]
    return tuple(dict.fromkeys(named))


def _name(management: Any, device: Any) -> str:
    return str(management.get_torch_device_name(device))


def memory() -> Memory:
    """What the main device has, and what is free; on a CPU this is the machine's."""
    management = module("comfy.model_management")
    device = management.get_torch_device()
    return Memory(
        total=int(management.get_total_memory(device)),
        free=int(management.get_free_memory(device)),
        loaded_models=len(management.current_loaded_models),
    )


def free(size: int) -> Memory:
    """Unload as many models as it takes until *size* bytes of the main device are free."""
    management = module("comfy.model_management")
    management.free_memory(size, management.get_torch_device())
    management.soft_empty_cache()
    return memory()


def unload_all() -> Memory:
    """Unload every model."""
    management = module("comfy.model_management")
    management.unload_all_models()
    gc.collect()
    management.soft_empty_cache()
    return memory()
