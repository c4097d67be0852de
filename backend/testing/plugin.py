"""What the tests of a plugin start from: the plugin loaded alone, and a running service.

Knows: how to load one plugin as the service does, and to say what is wrong with it.
Does not know: what the plugin does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend import config
from backend.hookspecs import Role
from backend.services.plugin_host import PluginHost
from backend.testing.service import Service


@contextmanager
def hosted(module: str, folder: Path, role: Role = "cpu") -> Iterator[PluginHost]:
    """A started host with the plugin *module* (an import name) and no other built-in.

    Raises ``AssertionError`` with the plugin's own reason and remedy if it is unavailable.
    *folder* takes the place of the data folder.
    """
    settings = config.load(data_dir=folder, plugins_dir=None)
    host = PluginHost(role, settings, folder, builtins=[module])
    host.load()
    host.start()
    try:
        record = host.plugins[0]
        if record.unavailable is not None:
            why = record.unavailable
            raise AssertionError(f"{module} is unavailable: {why.reason}. {why.remedy}")
        yield host
    finally:
        host.stop()


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Service]:
    """A running service with its cpu worker ready (or the ``workers`` of *settings*).

    It finds plugins as any service does: the plugin must be installed in this environment.
    """
    service = Service.start(folder, **{"workers": ["cpu"], **settings})
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()
