"""The graph editor of the candidate in a headless Chromium, with Kino's console in it.

Knows: step 9 of the contract as far as a browser is needed: the page opens, in both ways of drawing
nodes the console is visible, can be dragged, and what it says is what is queued and kept.
Does not know: how the page is served.

Playwright and Chromium are not among Kino's needs; where they are absent the steps do not apply.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, Final

from backend.config import worker_environment
from backend.testing.contract.steps import NotApplicable, require

PATIENCE_MS: Final = 120_000
FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
READY: Final = (
    "() => Boolean(window.app?.extensionManager && window.app?.graph && "
    "LiteGraph.registered_node_types.InternodeAudioMixer)"
)
BEGIN: Final = """async (nodes2) => {
  await app.extensionManager.setting.set("Comfy.VueNodes.Enabled", nodes2);
  app.graph.clear();
  app.canvas.ds.offset = [0, 0];
  app.canvas.ds.scale = 1;
  await new Promise((resolve) => setTimeout(resolve, 500));
  const node = LiteGraph.createNode("InternodeAudioMixer");
  node.pos = [420, 60];
  app.graph.add(node);
}"""
SAID: Final = """async () => {
  const [node] = app.graph._nodes.filter(({type}) => type === "InternodeAudioMixer");
  const {output} = await app.graphToPrompt();
  return [node.widgets.find(({name}) => name === "mix").value, output[node.id].inputs.mix];
}"""
AGAIN: Final = "async () => { await app.loadGraphData(app.graph.serialize()); }"


def opens(address: str, *, nodes2: bool) -> str:
    """Open the page at *address*, put in a console, drag its volume, and keep the graph."""
    with _page(address) as page:
        page.evaluate(BEGIN, nodes2)
        volume = page.get_by_role("slider", name="Master: Volume")
        volume.wait_for(state="visible")
        box = volume.bounding_box()
        require(box is not None, "the console is not drawn")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y + box["height"] / 3, steps=5)
        page.mouse.up()
        before = _mix(page)
        require(before["master"]["volume_db"] != 0, "a drag did not move the volume")
        page.evaluate(AGAIN)
        page.get_by_role("slider", name="Master: Volume").wait_for(state="visible")
        require(_mix(page) == before, "the console did not survive a reload of the graph")
    return f"volume {before['master']['volume_db']:.1f} dB"


def _mix(page: Any) -> Any:
    kept, queued = page.evaluate(SAID)
    require(kept == queued, "what is queued is not what the console says")
    return json.loads(kept)


@contextmanager
def _page(address: str) -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise NotApplicable("no Chromium is installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NotApplicable("playwright is not installed") from error
    # Chromium puts a socket into its folder for temporary files; a socket's path has 107 bytes
    short = "/tmp" if os.name == "posix" else None
    with sync_playwright() as playwright, TemporaryDirectory(prefix="kino-", dir=short) as folder:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=list(FLAGS),
            env={**worker_environment(), "TMPDIR": folder},
            timeout=PATIENCE_MS,
        )
        try:
            page = browser.new_page(viewport={"width": 1500, "height": 950})
            page.set_default_timeout(PATIENCE_MS)
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.goto(address)
            page.wait_for_function(READY)
            yield page
            require(not faults, f"the page reported {faults[:1]}")
        finally:
            browser.close()
