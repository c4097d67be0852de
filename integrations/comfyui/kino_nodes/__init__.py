"""Kino's nodes for ComfyUI: copy this folder into ``custom_nodes``.

Where Kino is installed in ComfyUI's own Python, its nodes run in this process. Everywhere else
they run on a Kino that is reached over HTTP, at ``KINO_URL`` (by default
``http://127.0.0.1:8190``) with the key ``KINO_API_KEY``, if it wants one. Nothing is asked over the
network before a node runs. ``KINO_NODES=remote`` or ``local`` decides it by hand.
"""

import importlib.util
import logging
import os
from pathlib import Path

_log = logging.getLogger("kino")


def _local():
    """The classes of a Kino that is installed beside ComfyUI, or None."""
    wanted = os.environ.get("KINO_NODES", "auto")
    if wanted == "remote" or not _is_here():
        if wanted == "local":
            raise ImportError("KINO_NODES=local, but Kino is not installed in this Python")
        return None
    import folder_paths

    from backend import node_pack

    temporary = Path(folder_paths.get_temp_directory()) / "kino"
    temporary.mkdir(parents=True, exist_ok=True)
    return node_pack.node_classes(temporary)


def _is_here():
    try:
        return importlib.util.find_spec("backend.node_pack") is not None
    except ModuleNotFoundError:  # there is no ``backend``, or it is somebody else's
        return False


def _load():
    try:
        found = _local()
    except ModuleNotFoundError as error:
        if os.environ.get("KINO_NODES") == "local":
            raise
        _log.warning("Kino is installed here but lacks %s: its nodes run over HTTP", error.name)
        found = None
    if found is None:
        from . import remote

        found = remote.node_classes()
        _log.info("Kino: %d nodes, run by the service at %s", len(found[0]), remote.service_url())
    else:
        _log.info("Kino: %d nodes, run in this process", len(found[0]))
    return found


NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = _load()
WEB_DIRECTORY = "./web"  # the console and what else nodes show; copied from Kino
__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
