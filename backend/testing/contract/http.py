"""The path over HTTP: a real service on this tree, and a stock client at ComfyUI's own surface.

Knows: step 9 of the contract: what a client of ComfyUI posts, and what must come back.
Does not know: how the surface is mounted.

The tree is copied beside a record that vouches for it, as an upgrade would leave it.
"""

from __future__ import annotations

import asyncio
import io
import shutil
from functools import partial
from typing import Any, Final

from backend.bricks import identity, releases
from backend.testing.contract import editor
from backend.testing.contract.graphs import node
from backend.testing.contract.steps import Bench, Step, require
from backend.testing.service import Service, until
from backend.testing.stock_client import StockClient

READY_S: Final = 300.0
PATHS: Final = (
    "/", "/system_stats", "/queue", "/history", "/prompt", "/embeddings", "/extensions",
    "/models", "/features", "/users", "/settings", "/api/system_stats", "/api/queue",
)  # fmt: skip
"""What every release answers with 200."""

_LOCK: Final = (
    'version = "{version}"\ncommit = ""\ntree_sha1 = "{digest}"\nrequirements_sha256 = ""\n'
    "overlay = '{overlay}'\n[git]\nurl = \"\"\n"
    '[sdist]\nname = ""\nversion = ""\nsha256 = ""\npath = ""\n'
)


class Served:
    """The service of this path, started once and stopped by the last step."""

    service: Service | None = None

    @classmethod
    def client(cls) -> StockClient:
        """A stock client of it."""
        require(cls.service is not None, "the service did not start")
        assert cls.service is not None
        return StockClient(f"{cls.service.url}/comfy")


def serves(bench: Bench) -> str:
    """The service starts on the tree, and its worker says that ComfyUI is there."""
    tree = bench.base / "host" / "ComfyUI"
    shutil.copytree(bench.tree, tree, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    digest = identity.tree_sha1(tree)
    record = releases.record(tree, digest)
    record.mkdir(parents=True)
    overlay = bench.overlay or ""
    (record / releases.LOCK).write_text(
        _LOCK.format(version=bench.facts.get("version", "0"), digest=digest, overlay=overlay)
    )
    Served.service = Service.start(
        bench.base / "service", workers=["comfy"], comfyui__path=str(tree), comfyui__cpu=True
    )

    def ready() -> Any:
        answer = Served.client().ask("GET", "/system_stats")
        return answer.json() if answer.status == 200 else None

    found = until("ComfyUI answers", ready, seconds=READY_S, every=0.5)
    return f"ComfyUI {found['system']['comfyui_version']}"


def answers(bench: Bench) -> str:
    """The usual addresses answer, with ``/api`` before them too; unknown nodes are refused."""
    client = Served.client()
    bad = [
        f"{path} {status}" for path in PATHS if (status := client.ask("GET", path).status) != 200
    ]
    require(not bad, f"answered otherwise: {', '.join(bad)}")
    info = client.get("/object_info")
    require("KSampler" in info and "KinoLoadAsset" in info, "object_info lacks nodes")
    wrong = client.ask("POST", "/prompt", {"prompt": {"1": node("NoSuchNode")}})
    require(wrong.status == 400, f"an unknown node is answered {wrong.status}")
    return f"{len(PATHS)} addresses, {len(info)} nodes"


def runs(bench: Bench) -> str:
    """A posted prompt runs, its history names the picture, and the picture can be had."""
    client = Served.client()
    prompt = {
        "1": node("EmptyImage", width=48, height=32, batch_size=1, color=255),
        "2": node("SaveImage", images=["1", 0], filename_prefix="contract"),
    }
    entry = client.until_listed(client.post(prompt)["prompt_id"])
    require(entry["status"]["status_str"] == "success", f"the prompt ended {entry['status']}")
    image = client.view(entry["outputs"]["2"]["images"][0])
    require(image.status == 200 and image.body.startswith(b"\x89PNG"), "no picture came")
    return f"{len(image.body)} bytes of PNG"


def takes_files(bench: Bench) -> str:
    """A picture of more than 1 MB is taken, and a graph can load it."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "png")
    client = Served.client()
    answer = client.upload(content.getvalue(), "large.png")
    require(answer.status == 200, f"the upload is answered {answer.status}")
    prompt = {
        "1": node("LoadImage", image=answer.json()["name"]),
        "2": node("PreviewImage", images=["1", 0]),
    }
    entry = client.until_listed(client.post(prompt)["prompt_id"])
    require(entry["outputs"]["2"]["images"], "the uploaded picture was not loaded")
    return f"{len(content.getvalue()) / 1e6:.1f} MB"


def talks(bench: Bench) -> str:
    """The WebSocket says ``status`` first, and tells a prompt from its start to its end."""
    kinds = asyncio.run(_heard(Served.client()))
    want = ["execution_start", "executing", "execution_success"]
    require(kinds[0] == "status", f"it begins with {kinds[0]}")
    require(all(kind in kinds for kind in want), f"it said {kinds}")
    return ", ".join(dict.fromkeys(kinds))


async def _heard(client: StockClient) -> list[str]:
    """Types of messages until the prompt is over."""
    import aiohttp

    kinds: list[str] = []
    address = f"{client.url}/ws?clientId={client.client_id}"
    async with (
        asyncio.timeout(300),
        aiohttp.ClientSession() as session,
        session.ws_connect(address) as socket,
    ):
        kinds.append((await socket.receive_json())["type"])
        prompt = {"1": node("PreviewAny", source="heard")}
        await asyncio.to_thread(client.post, prompt)
        while "execution_success" not in kinds and "execution_error" not in kinds:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                kinds.append(message.json()["type"])
    return kinds


def _opens_editor(bench: Bench, *, nodes2: bool) -> str:
    """The graph editor opens, and Kino's console works in it."""
    require(Served.service is not None, "the service did not start")
    assert Served.service is not None
    told = Served.client().ask("POST", "/settings/Comfy.TutorialCompleted", True)
    require(told.status == 200, f"a setting is answered {told.status}")
    return editor.opens(f"{Served.service.url}/editor/", nodes2=nodes2)


def stops(bench: Bench) -> str:
    """The service ends in good order."""
    require(Served.service is not None, "the service did not start")
    assert Served.service is not None
    Served.service.stop()
    return "stopped"


STEPS: Final = (
    Step(9, "the service starts on it", serves),
    Step(9, "ComfyUI's addresses", answers),
    Step(9, "a prompt over HTTP", runs),
    Step(9, "an upload over 1 MB", takes_files),
    Step(9, "the WebSocket", talks),
    Step(9, "the editor, nodes on its canvas", partial(_opens_editor, nodes2=False)),
    Step(9, "the editor, Nodes 2.0", partial(_opens_editor, nodes2=True)),
    Step(9, "the service stops", stops),
)
