"""Engines that run kino-dsp.js: QuickJS everywhere, and Chromium where one is installed.

An engine is asked by name, with JSON in and JSON out; what it can be asked is in driver.js.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pytest
import quickjs
from playwright.sync_api import ConsoleMessage, Page, sync_playwright
from pydantic import BaseModel

from backend.media.audio import Audio
from backend.media.automation import Automation
from backend.media.breakpoints import Breakpoints
from backend.media.curves import as_points

HERE = Path(__file__).parent
FILE: Final = HERE.parents[1] / "backend" / "studio" / "kino-dsp.js"
PATIENCE_MS: Final = 300_000
NAMES: Final = "Mixer, render, duck, coefficients, Gate, Compressor, Delay, Limiter"
FLAGS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--autoplay-policy=no-user-gesture-required",
]

Samples = npt.NDArray[np.float64]


class Engine(Protocol):
    """Something that runs JavaScript."""

    def ask(self, name: str, **given: Any) -> Any:
        """The answer of driver.js to *name*."""
        ...


class QuickJs:
    """The file, or an altered text of it, in an interpreter without anything around it."""

    def __init__(self, text: str) -> None:
        self._context = quickjs.Context()
        self._context.module(f"{text}\nglobalThis.dsp = {{ {NAMES} }};")
        self._context.eval((HERE / "driver.js").read_text("utf-8"))
        self._ask = self._context.get("ask")

    def ask(self, name: str, **given: Any) -> Any:
        """See `Engine`."""
        return json.loads(self._ask(name, json.dumps(given)))


class Chromium:
    """The file in a page. Playwright's event loop lives in a thread of its own, so that it never
    meets that of another test."""

    def __init__(self, program: str) -> None:
        self.errors: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
        self._serving = Thread(target=self._server.serve_forever)
        self._serving.start()
        self._thread = ThreadPoolExecutor(1)
        self._page: Page = self._thread.submit(self._start, program).result()

    def _start(self, program: str) -> Page:
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=program, args=FLAGS, timeout=PATIENCE_MS
        )
        page = self._browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.goto(f"http://127.0.0.1:{self._server.server_port}/")
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def run(self, expression: str, given: Any) -> Any:
        """What a JavaScript function, told *given*, gives back."""
        return self._thread.submit(self._page.evaluate, expression, given).result()

    def ask(self, name: str, **given: Any) -> Any:
        """See `Engine`."""
        return json.loads(
            self.run("([name, given]) => ask(name, given)", [name, json.dumps(given)])
        )

    def close(self) -> None:
        """End the browser and its thread."""
        self._thread.submit(self._stop).result()
        self._thread.shutdown()
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def _stop(self) -> None:
        self._browser.close()
        self._playwright.stop()


PAGE: Final = """<!doctype html><title>kino-dsp</title><link rel="icon" href="data:,">
<script type="module">import * as dsp from "/kino-dsp.js"; globalThis.dsp = dsp;</script>
<script src="/driver.js"></script>"""


class Files(BaseHTTPRequestHandler):
    """Serves the page and the two files: a worklet's file is fetched past playwright's routes."""

    def do_GET(self) -> None:
        """Answer a request of the page."""
        found = {"/": PAGE.encode(), f"/{FILE.name}": FILE.read_bytes()}
        body = found.get(self.path) or (HERE / "driver.js").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "text/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def dsp_text() -> str:
    """The text of kino-dsp.js."""
    return FILE.read_text("utf-8")


@pytest.fixture(scope="session")
def altered() -> Callable[[str], Engine]:
    """Makes an engine of another text."""
    return QuickJs


@pytest.fixture(scope="session")
def engine(dsp_text: str) -> Engine:
    """The file in QuickJS."""
    return QuickJs(dsp_text)


@pytest.fixture(scope="session")
def _browser() -> Iterator[Chromium]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    browser = Chromium(program)
    yield browser
    browser.close()


@pytest.fixture
def chromium(_browser: Chromium) -> Iterator[Chromium]:
    """The file in Chromium; no error of the page, nor a warning, is let pass."""
    _browser.errors.clear()
    yield _browser
    assert _browser.errors == []


@pytest.fixture(
    params=["quickjs", pytest.param("chromium", marks=pytest.mark.xdist_group("chromium"))]
)
def any_engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    name = "engine" if request.param == "quickjs" else request.param
    found: Engine = request.getfixturevalue(name)
    return found


def plain(value: Any, rate: int) -> Any:
    """A document's model as JSON for the twin: without sources, with automation as points."""
    if isinstance(value, Automation):
        positions, values = as_points(value, rate)
        return {"positions": positions.tolist(), "values": values.tolist()}
    if isinstance(value, Breakpoints):
        return value.model_dump(mode="json")
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return {n: plain(v, rate) for n, v in fields.items() if not isinstance(v, Audio)}
    if isinstance(value, list):
        return [plain(each, rate) for each in value]
    return value


@pytest.fixture(scope="session")
def as_json() -> Callable[[Any, int], Any]:
    return plain
