"""The boot that every path of the contract begins with.

Knows: the settings of the contract: the CPU, one thread, no pin to hold the tree against.
Does not know: the steps.
"""

from __future__ import annotations

from typing import Any

from backend import config
from backend.bricks import boot as booting
from backend.bricks import nodes
from backend.bricks.session import Info
from backend.services.plugin_host import PluginHost
from backend.testing.contract.steps import Bench


def operations(bench: Bench) -> dict[str, Any]:
    """Every operation of the built-in plugins, by name, each also a node, as in a worker."""
    host = PluginHost("comfy", config.load(data_dir=bench.base, plugins_dir=None), bench.base)
    host.load()
    found = {name: entry[0] for name, entry in host.operations.items()}
    nodes.register_operations(found, host.shapes, {})
    return found


def boot(bench: Bench) -> Info:
    """Boot once; raises `ComfyUIIncompatible`."""
    info = booting.boot(bench.tree, bench.base, cpu=True, overlay=bench.overlay)
    import torch

    torch.set_num_threads(1)  # sums have one order, so pictures can be compared
    from backend.testing.contract import nodes_for_tests

    nodes_for_tests.register(bench.models)
    return info
