"""The cache of ComfyUI's executor: which kinds this release has, and which one its flags ask for.

Knows: ``CacheType``, the ``--cache-…`` flags, and what ComfyUI's ``main.py`` makes of them.
Does not know: version numbers (see `bricks._compat`), and what is kept in a cache.
"""

from __future__ import annotations

from typing import Any

from backend.bricks import _compat
from backend.bricks._comfy import module


def stock_executor(server: Any) -> Any:
    """A ``PromptExecutor`` as ComfyUI's ``main.py`` makes it."""
    execution = module("execution")
    kind, arguments = _stock_cache()
    wanted = {
        "cache_type": execution.CacheType[kind],
        "cache_args": arguments,
        "cache_size": arguments["lru"],
    }
    make = execution.PromptExecutor
    return make(server, **_compat.accepted(make.__init__, wanted))


def _stock_cache() -> tuple[str, dict[str, Any]]:
    """The kind of the cache, and its arguments. Since ``--cache-ram`` takes several values, memory
    pressure is what decides by default."""
    flags, known = module("comfy.cli_args").args, _compat.cache_types()
    entries, ram = int(getattr(flags, "cache_lru", 0)), getattr(flags, "cache_ram", 0.0)
    arguments: dict[str, Any] = {**_compat.CACHE_ARGUMENTS, "lru": entries}
    if isinstance(ram, list):
        total_gib = float(getattr(module("comfy.model_management"), "total_ram", 0.0)) / 1024.0
        headroom = [min(10.0, max(2.0, total_gib * 0.10)), min(128.0, total_gib)]
        headroom[: len(ram)] = ram[:2]
        arguments.update(ram=headroom[0], ram_inactive=headroom[1])
    elif ram > 0:
        arguments.update(ram=ram)
    if getattr(flags, "cache_classic", False):
        return "CLASSIC", arguments
    if entries > 0:
        return "LRU", arguments
    if getattr(flags, "cache_none", False):
        return ("NONE" if "NONE" in known else "DEPENDENCY_AWARE"), arguments
    by_pressure = isinstance(ram, list) or ram > 0
    return ("RAM_PRESSURE" if by_pressure and "RAM_PRESSURE" in known else "CLASSIC"), arguments
