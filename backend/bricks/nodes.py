"""Nodes: call one, describe them, add one, and offer every operation as one.

Knows: nothing of its own; it gathers the verbs of `node_classes` and `operation_nodes`.
Does not know: graphs (`bricks.graph`).
"""

from __future__ import annotations

from backend.bricks.node_classes import call_node, names, node_info, register_node
from backend.bricks.operation_nodes import register_operations

__all__ = ["call_node", "names", "node_info", "register_node", "register_operations"]
