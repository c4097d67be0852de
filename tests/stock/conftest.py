"""One service for stock clients: ComfyUI's own API below ``/comfy`` and at the root of a port.

Knows: how to start it and where its second port is.
Does not know: what a test asks. A test that kills or fills a service starts its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.testing.service import Service
from backend.testing.stock_client import StockClient

PACK = Path(__file__).parents[1] / "gate_pack"
SCRIPTS = str(Path(__file__).resolve().parents[2] / "scripts")
if SCRIPTS not in sys.path:  # the genuine server is started as for the bench
    sys.path.append(SCRIPTS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs them all, as they share one ComfyUI."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("stock"))


def root_url(service: Service) -> str:
    """Where ComfyUI's API is at the root; the log says it."""
    for line in service.log.read_text().splitlines():
        if "ComfyUI's own API" in line:
            return str(json.loads(line)["address"])
    raise AssertionError("there is no second port")


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with ComfyUI, ready. Its folder lies too deep for the path of a socket, so that its
    worker is asked through a port and with a token; others in ``test_restarts.py`` are not."""
    folder = tmp_path_factory.mktemp("stock") / ("deep" * 25)
    service = Service.start(
        folder, workers=["comfy"], comfyui__port=0,
        comfyui__custom_nodes_dir=PACK, comfyui__custom_nodes=["gate.py"],
    )  # fmt: skip
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


@pytest.fixture
def client(stock: Service) -> Iterator[StockClient]:
    """A new client of the shared service, connected."""
    made = StockClient(stock.url + "/comfy").connect()
    yield made
    made.close()


@pytest.fixture
def more_clients(stock: Service) -> Iterator[Callable[..., StockClient]]:
    """``more_clients(client_id)``: further clients, not connected."""
    made: list[StockClient] = []

    def make(client_id: str | None = None, **headers: str) -> StockClient:
        made.append(StockClient(stock.url + "/comfy", client_id, **headers))
        return made[-1]

    yield make
    for each in made:
        each.close()


def picture(color: int = 255, prefix: str = "picture", size: int = 64) -> dict[str, Any]:
    """A prompt that saves a picture at once."""
    made = {"width": size, "height": size, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": made},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def long_work(color: int, size: int = 768, times: int = 8) -> dict[str, Any]:
    """A prompt of stock nodes that takes a while and can be interrupted between its nodes."""
    graph = picture(color, "long", size)
    for number in range(1, times + 1):
        source = ["1", 0] if number == 1 else [f"blur{number - 1}", 0]
        inputs = {"image": source, "blur_radius": 20, "sigma": 5.0}
        graph[f"blur{number}"] = {"class_type": "ImageBlur", "inputs": inputs}
    graph["2"]["inputs"]["images"] = [f"blur{times}", 0]
    return graph


def held(color: int, *until: Path) -> dict[str, Any]:
    """A prompt that saves a picture, and before that waits for each of the files *until*; it can be
    interrupted meanwhile."""
    graph = picture(color, "held")
    source = "1"
    for number, path in enumerate(until):
        inputs = {"image": [source, 0], "until": str(path)}
        source = f"gate{number}"
        graph[source] = {"class_type": "TestGate", "inputs": inputs}
    graph["2"]["inputs"]["images"] = [source, 0]
    return graph


@pytest.fixture(scope="session")
def graphs() -> Any:
    """What tests post: ``graphs.picture(…)``, ``graphs.long_work(…)``, and ``graphs.held(…)`` where
    a service has the pack of the gate; and ``graphs.root_url``."""

    class Graphs:
        pack = PACK
        picture = staticmethod(picture)
        long_work = staticmethod(long_work)
        held = staticmethod(held)
        root_url = staticmethod(root_url)

    return Graphs
