"""What tests, benchmarks and plugin authors use: a running service, and an engine without torch.

Knows: how to load one plugin alone, how to start the real service, how to send one call through
every door, and a stand-in for ComfyUI that keeps the same contract.
Does not know: what is tested. Nothing of Kino imports this, but for a worker told to by a setting.

For the tests of a plugin::

    from backend.testing import assert_every_door, hosted, running
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from backend.testing.doors import DOORS, assert_every_door
    from backend.testing.plugin import hosted, running
    from backend.testing.service import Service

__all__ = ["DOORS", "Service", "assert_every_door", "hosted", "running"]

_HOMES: Final = {
    "DOORS": "doors",
    "Service": "service",
    "assert_every_door": "doors",
    "hosted": "plugin",
    "running": "plugin",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: a worker with the fake engine needs none of them."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
