"""Rows: how fast the largest official template is converted, and a graph of its size refused.

Knows: the official templates, the editor's own conversion in a headless Chromium, and ComfyUI's
own validation behind ``POST /prompt``.
Does not know: how a conversion works.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import conversion
from backend.plugins.workflows.conversion.converting import convert
from bench_rows import servers
from bench_rows.clients import KinoClient, StockClient
from bench_rows.figures import Figure, median

ROUNDS: Final = 15
ROW: Final = "largest official template"


def measure(folder: Path) -> list[Figure]:
    """Convert it in this process and in the editor, then let both servers look at the graph."""
    name, workflow = _largest()
    ours, theirs = [], []
    with conversion.editor(folder) as there:
        definitions = there.definitions
        for _ in range(ROUNDS):
            ours.append(_ms(lambda: convert(workflow, definitions)))
            theirs.append(_ms(lambda: there.convert(workflow)))
    graph = convert(workflow, definitions).graph
    size = len(json.dumps(workflow))
    print(f"    {name}: {size / 1000:.0f} kB, {len(graph)} nodes that run", flush=True)
    checked = asyncio.run(_checked(folder, graph))
    return [
        Figure(ROW, "size", size / 1000, "kB"),
        Figure(ROW, "nodes that run", len(graph), ""),
        Figure(ROW, "conversion, Kino / editor", median(ours) / median(theirs), "×", at_most=1.0),
        Figure(ROW, "conversion, Kino", median(ours), "ms"),
        Figure(ROW, "conversion, editor", median(theirs), "ms"),
        *checked,
    ]


def _largest() -> tuple[str, dict[str, Any]]:
    known = conversion.templates()
    return max(known.items(), key=lambda item: len(json.dumps(item[1])))


def _ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


async def _checked(folder: Path, graph: dict[str, Any]) -> list[Figure]:
    """From the POST to the refusal: no model of the template lies here, so nothing is run, but
    every input of every node is looked at."""
    kino_ms: list[float] = []
    stock_ms: list[float] = []
    with servers.kino(folder / "kino") as kino, servers.stock(folder / "stock") as stock:
        async with KinoClient(kino) as ours, StockClient(stock) as theirs:
            run = ours.session.post
            for number in range(ROUNDS):
                body = {"graph": _different(graph, number)}
                path = ours.url + "/v1/operations/workflows.run?wait=30"
                kino_ms.append(await _refused(run(path, json=body, raise_for_status=False)))
                body = {"prompt": _different(graph, number)}
                asked = theirs.session.post(
                    theirs.url + "/prompt", json=body, raise_for_status=False
                )
                stock_ms.append(await _refused(asked))
    ratio = median(kino_ms) / median(stock_ms)
    return [
        Figure(ROW, "validation, Kino / stock", ratio, "×"),
        Figure(ROW, "validation, Kino", median(kino_ms), "ms"),
        Figure(ROW, "validation, stock", median(stock_ms), "ms"),
    ]


def _different(graph: dict[str, Any], number: int) -> dict[str, Any]:
    """The graph with another title at its first node, so that no cache knows it."""
    first, *_ = graph
    return graph | {first: graph[first] | {"_meta": {"title": str(number)}}}


async def _refused(asked: Awaitable[Any]) -> float:
    begun = time.perf_counter()
    answer = await asked
    told = await answer.text()
    took = 1000 * (time.perf_counter() - begun)
    if answer.status < 400:
        raise RuntimeError(f"a graph without its models was taken: {told[:200]}")
    return took
