"""The graph editor of a running service in Chromium: one service, one browser, a page for each way
in which the editor draws its nodes.

A page is opened once and emptied before each test. Whatever the editor reports as an error fails
the test, but for what it reports of itself in every ComfyUI.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from backend.testing.service import Service

T = TypeVar("T")
LARGEST_UPLOAD: Final = 1_500_000
PATIENCE_MS: Final = 300_000
FLAGS: Final = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--autoplay-policy=no-user-gesture-required",
]
READY: Final = (
    "() => Boolean(window.app?.extensionManager && window.app?.graph && "
    "LiteGraph.registered_node_types.InternodeAudioMixer && comfyAPI.api.api.clientId && "
    "app.extensionManager.spinner === false)"
)
"""The id is told by the WebSocket's first message. What is run before is heard by nobody. While the
page's spinner turns, it still sets itself up: files that are dropped then are taken by nobody."""

OF_THE_EDITOR: Final = re.compile(
    r"violates the (following|document's) Content Security Policy|user\.css|"
    r"Failed to load resource: the server responded with a status of (404|413|415|422)|"
    r"graph accessed before initialization"
)
"""Errors that the editor writes to the console in any ComfyUI that is not connected; and what
Chromium writes of each refused request, which tests look at themselves."""

SETTINGS: Final = {"Comfy.TutorialCompleted": True, "Comfy.Graph.CanvasInfo": False}
CLEAR: Final = """async (nodes2) => {
  await app.extensionManager.setting.set("Comfy.VueNodes.Enabled", nodes2);
  app.graph.clear();
  delete window.fired;
  app.canvas.ds.offset = [0, 0];
  app.canvas.ds.scale = 1;
}"""
ADD: Final = """async ([type, x, y]) => {
  const node = LiteGraph.createNode(type);
  node.pos = [x, y];
  app.graph.add(node);
  await new Promise((resolve) => setTimeout(resolve, 100));
  return node.id;
}"""

PICTURE: Final = """async () => {
  const made = LiteGraph.createNode("EmptyImage");
  const saved = LiteGraph.createNode("SaveImage");
  app.graph.add(made);
  app.graph.add(saved);
  made.widgets.find(({name}) => name === "width").value = 32;
  made.connect(0, saved, 0);
  if (!(await app.queuePrompt(0))) throw new Error("the prompt was not taken");
  return saved.id;
}"""
FETCHED: Final = """async (id) => {
  const [{filename, subfolder, type}] = app.nodeOutputs[id].images;
  const query = new URLSearchParams({filename, subfolder, type});
  const {api} = comfyAPI.api;
  const bytes = new Uint8Array(await (await api.fetchApi("/view?" + query)).arrayBuffer());
  return Array.from(bytes.slice(1, 4), (each) => String.fromCharCode(each)).join("");
}"""


class Editor:
    """The editor in one page. Playwright's event loop lives in a thread of its own; `do` works
    there."""

    def __init__(self, service: Service, thread: ThreadPoolExecutor, page: Page) -> None:
        self.service = service
        self.errors: list[str] = []
        self.requests: list[Request] = []
        self._thread = thread
        self._page = page
        self.do(self._listen)  # it tells the browser, so it must be that thread

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        page.on("console", self._heard)
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not OF_THE_EDITOR.search(message.text):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request)

    def do(self, work: Callable[[Page], T]) -> T:
        """What *work* gives for the page."""
        return self._thread.submit(work, self._page).result()

    def run(self, expression: str, given: Any = None) -> Any:
        """What a JavaScript function, told *given*, gives back."""
        return self.do(lambda page: page.evaluate(expression, given))

    def until(self, expression: str, given: Any = None, *, seconds: float = 120.0) -> None:
        """Wait until a JavaScript function gives true."""
        limit = 1000 * seconds
        self.do(lambda page: page.wait_for_function(expression, arg=given, timeout=limit))

    def open(self) -> None:
        """Open the page, and wait until every node is there."""

        self.do(lambda page: page.goto(self.service.url + "/editor"))
        self.ready()

    def ready(self) -> None:
        """Wait until every node is there."""
        self.do(lambda page: page.wait_for_function(READY))

    def add(self, kind: str, x: int = 80, y: int = 80) -> int:
        """Put a node into the graph; its id."""
        return int(self.run(ADD, [kind, x, y]))

    def queue_picture(self) -> int:
        """Queue a graph that makes a picture; the id of the node that saves it."""
        return int(self.run(PICTURE))

    def kind_of(self, node: int) -> str:
        """What the bytes of a node's picture say that it is: ``PNG``."""
        return str(self.run(FETCHED, node))

    def prompt(self) -> Any:
        """What the editor would queue."""
        return self.run("async () => (await app.graphToPrompt()).output")

    def upload(self, path: Path) -> None:
        """Put a file into ComfyUI's input folder."""
        edge = "0123456789abcdef"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="{path.name}"'
        body = f"{head}\r\n\r\n".encode() + path.read_bytes() + f"\r\n--{edge}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        answer = self.service.ask("POST", "/editor/api/upload/image", body, headers=headers)
        assert answer.status == 200

    def press(self, name: str, *keys: str) -> str:
        """Press keys on a slider; its value in words."""

        def go(page: Page) -> str:
            slider = page.get_by_role("slider", name=name, exact=True)
            slider.focus()
            for key in keys:
                page.keyboard.press(key)
            return str(slider.get_attribute("aria-valuetext"))

        return self.do(go)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the real ComfyUI that takes small uploads only; nobody was here before."""
    folder = tmp_path_factory.mktemp("editor")
    service = Service.start(folder, workers=["comfy"], limits__upload_bytes=LARGEST_UPLOAD)
    try:
        service.wait_ready("comfy")
        for name, value in SETTINGS.items():
            answer = service.ask("POST", f"/editor/api/settings/{name}", value)
            assert answer.status == 200
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="session")
def _thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture(scope="session")
def _browser(_thread: ThreadPoolExecutor) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")

    def start() -> tuple[Any, Browser]:
        playwright = sync_playwright().start()
        browser = playwright.chromium.launch(
            executable_path=program, args=FLAGS, timeout=PATIENCE_MS
        )
        return playwright, browser

    playwright, browser = _thread.submit(start).result()
    yield browser
    _thread.submit(browser.close).result()
    _thread.submit(playwright.stop).result()


@pytest.fixture(scope="session")
def _editor(served: Service, _thread: ThreadPoolExecutor, _browser: Browser) -> Editor:
    def new_page() -> Page:
        page = _browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(PATIENCE_MS)
        return page

    editor = Editor(served, _thread, _thread.submit(new_page).result())
    editor.open()
    return editor


@pytest.fixture
def new_editor(_thread: ThreadPoolExecutor) -> Callable[[Service, Page], Editor]:
    """``new_editor(service, page)``: the editor that is open in a page of the test's own."""

    def new(service: Service, page: Page) -> Editor:
        return Editor(service, _thread, page)

    return new


def _emptied(editor: Editor, *, nodes2: bool) -> Editor:
    editor.run(CLEAR, nodes2)
    editor.errors.clear()
    editor.requests.clear()
    return editor


@pytest.fixture
def editor(_editor: Editor) -> Iterator[Editor]:
    """The editor as it is at first, with an empty graph."""
    yield _emptied(_editor, nodes2=False)
    assert _editor.errors == []


@pytest.fixture(params=["classic", "nodes 2.0"])
def each_editor(request: pytest.FixtureRequest, _editor: Editor) -> Iterator[Editor]:
    """The editor with an empty graph, in each way of drawing nodes."""
    yield _emptied(_editor, nodes2=request.param == "nodes 2.0")
    assert _editor.errors == []


@pytest.fixture
def tone(tmp_path: Path, make_wav: Callable[..., bytes]) -> Path:
    """Two seconds of a tone at 12000 / 32768 of full scale, mono, 48 kHz."""
    path = tmp_path / "a tone.wav"
    path.write_bytes(make_wav(2.0, 440.0, 48_000))
    return path
