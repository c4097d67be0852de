"""Row: how long the graph editor takes to open, from Kino and from the genuine server.

Knows: when the editor is ready: its graph is there, and every node of the server is registered.
Does not know: what its pages hold; both sides serve the same frontend.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Final

import conversion
from bench_rows import servers
from bench_rows.figures import Figure, median

ROUNDS: Final = 7
ROW: Final = "the graph editor opens"
READY: Final = """(last) => Boolean(
  window.app?.extensionManager && window.app?.graph && window.LiteGraph
  && last in LiteGraph.registered_node_types
  && Object.keys(LiteGraph.registered_node_types).length > 300
)"""
"""Nodes are registered in the order of ``/object_info``; the last one is there when all are."""


def measure(folder: Path) -> list[Figure]:
    """Open it from both, in turns: each time in a browser context that has cached nothing, and once
    more in the same one."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise servers.NotMeasured("no Chromium is installed")
    figures: dict[str, tuple[list[float], list[float]]] = {"Kino": ([], []), "stock": ([], [])}
    with (
        servers.kino(folder / "kino") as kino,
        servers.stock(folder / "stock") as stock,
        sync_playwright() as playwright,
    ):
        pages = {"Kino": f"{kino.url}/editor/", "stock": f"{stock.url}/"}
        last = {side: next(reversed(_nodes(url))) for side, url in pages.items()}
        flags = list(conversion.FLAGS)
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        for _ in range(ROUNDS + 1):  # the first fills each server's own caches and is left out
            for side, url in pages.items():
                context = browser.new_context()
                for times in figures[side]:
                    times.append(_opened(context, url, last[side]))
                context.close()
        browser.close()
    (ours, again), (theirs, theirs_again) = (
        [median(times[1:]) for times in figures[side]] for side in ("Kino", "stock")
    )
    return [
        Figure(ROW, "first visit, Kino / stock", ours / theirs, "×", at_most=1.25),
        Figure(ROW, "first visit, Kino", ours, "s"),
        Figure(ROW, "first visit, stock", theirs, "s"),
        Figure(ROW, "next visit, Kino / stock", again / theirs_again, "×", at_most=1.25),
        Figure(ROW, "next visit, Kino", again, "s"),
        Figure(ROW, "next visit, stock", theirs_again, "s"),
    ]


def _nodes(url: str) -> dict[str, Any]:
    found: dict[str, Any] = servers.get_json(url + "api/object_info")
    return found


def _opened(context: Any, url: str, last: str) -> float:
    page = context.new_page()
    page.set_default_timeout(conversion.PATIENCE_MS)
    begun = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(READY, arg=last)
    taken = time.perf_counter() - begun
    page.close()
    return taken
