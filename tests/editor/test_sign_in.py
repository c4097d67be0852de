"""A person with a browser at a service that wants a key: in, at work, out, and who else is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from backend.testing.service import PATIENCE_S, Service, until

pytestmark = pytest.mark.xdist_group("editor")

KEY: Final = "a-key-of-some-length"
KEYS: Final = ["laptop:" + hashlib.sha256(KEY.encode()).hexdigest()]
BEARER: Final = {"Authorization": f"Bearer {KEY}"}
PATIENCE_MS: Final = 300_000
OPEN_SOCKET: Final = "() => comfyAPI.api.api.socket?.readyState === WebSocket.OPEN"
NO_SOCKET: Final = "() => comfyAPI.api.api.socket?.readyState !== WebSocket.OPEN"

ATTACK: Final = """async (url) => {
  const post = {method: "POST", mode: "no-cors", credentials: "include"};
  await fetch(url + "/v1/queue/pause", post).catch(() => {});
  await fetch(url + "/signout", post).catch(() => {});
  const read = await fetch(url + "/v1/jobs", {credentials: "include"}).then(
    (answer) => answer.status, () => "refused");
  const socket = await new Promise((done) => {
    const made = new WebSocket(url.replace("http", "ws") + "/comfy/ws");
    made.onopen = () => done("open");
    made.onerror = () => done("refused");
  });
  const frame = await new Promise((done) => {
    const made = document.createElement("img");
    made.onload = () => done("shown");
    made.onerror = () => done("refused");
    made.src = url + "/v1/queue";
    document.body.append(made);
  });
  return [read, socket, frame];
}"""
"""What a page of another origin can try with the cookie that the browser adds for it."""


class Person:
    """Somebody at a browser of their own. Playwright's loop lives in a thread; `do` works there."""

    def __init__(self, thread: ThreadPoolExecutor, browser: Browser, **settings: Any) -> None:
        self.thread = thread
        self.context: BrowserContext = thread.submit(self._context, browser, settings).result()
        self.page = self.new_page()

    def _context(self, browser: Browser, settings: Any) -> BrowserContext:
        context = browser.new_context(viewport={"width": 1500, "height": 950}, **settings)
        context.set_default_timeout(PATIENCE_MS)
        return context

    def new_page(self) -> Page:
        return self.thread.submit(self.context.new_page).result()

    def do(self, work: Callable[[Page], Any]) -> Any:
        """What *work* gives for the page."""
        return self.thread.submit(work, self.page).result()

    def open(self, url: str) -> int:
        """Open a page; its status."""

        def go(page: Page) -> int:
            answer = page.goto(url)
            assert answer is not None
            return answer.status

        return int(self.do(go))

    def type_key(self, key: str, then: str) -> str:
        """Type into the field that has the focus, press Enter, wait for a selector; the URL."""

        def go(page: Page) -> str:
            page.wait_for_selector("#key:focus")
            page.keyboard.type(key)
            page.keyboard.press("Enter")
            page.wait_for_selector(then)
            return page.url

        return str(self.do(go))

    def sees_form(self) -> bool:
        """Whether the page is the one on which one signs in."""
        return bool(self.do(lambda page: page.locator("#key").count() == 1))

    def close(self) -> None:
        self.thread.submit(self.context.close).result()


@pytest.fixture
def person(_thread: ThreadPoolExecutor, _browser: Browser) -> Iterator[Callable[..., Person]]:
    """``person(**settings)``: a new browser profile each time."""
    made: list[Person] = []

    def new(**settings: Any) -> Person:
        made.append(Person(_thread, _browser, **settings))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def foreign() -> Iterator[str]:
    """The URL of a page of somebody else, on another port of this host."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = self.path.partition("?")[2]
            body = f'<!doctype html><title>x</title><body><a href="{target}">there</a>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *told: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_person_signs_in_works_and_leaves(
    tmp_path: Path, person: Callable[..., Person], new_editor: Callable[..., Any]
) -> None:
    """The editor asks for the key, says that a wrong one is wrong, opens with the right one, runs a
    graph over HTTP and its WebSocket; after signing out elsewhere, its socket is closed and it asks
    for the key again."""
    service = Service.start(tmp_path, workers=["comfy"], api_keys=KEYS)
    try:
        until("ComfyUI is there", lambda: _is_ready(service), seconds=PATIENCE_S, every=0.5)
        me = person()
        assert me.open(service.url + "/editor/") == 401
        assert me.type_key("not-the-key", "#wrong").endswith("/v1/session")
        assert "not valid" in me.do(lambda page: page.get_by_role("alert").inner_text())
        assert me.type_key(KEY, "canvas") == service.url + "/editor/"
        editor = new_editor(service, me.page)
        editor.ready()
        assert editor.run("() => document.cookie") == ""
        editor.until(OPEN_SOCKET, seconds=PATIENCE_S)
        node = editor.queue_picture()
        editor.until("(id) => app.nodeOutputs[id]?.images?.length === 1", node, seconds=PATIENCE_S)
        assert editor.kind_of(node) == "PNG"
        me.page, before = me.new_page(), me.page
        assert me.open(service.url + "/signin") == 200
        assert "laptop" in me.do(lambda page: page.inner_text("main"))
        me.do(lambda page: page.get_by_role("button", name="Sign out").click())
        me.do(lambda page: page.wait_for_selector("#key"))
        editor.until(NO_SOCKET, seconds=PATIENCE_S)
        me.page = before
        me.do(lambda page: page.reload())
        assert me.sees_form()
        assert me.do(lambda _: me.context.cookies()) == []
    finally:
        service.stop()


def _is_ready(service: Service) -> bool:
    return service.ask("GET", "/readyz", headers=BEARER).status == 200


def test_no_script_is_needed(launch: Callable[..., Service], person: Callable[..., Person]) -> None:
    """Signing in and out works in a browser without JavaScript."""
    service = launch(workers=[], api_keys=KEYS)
    me = person(java_script_enabled=False)
    assert me.open(service.url + "/docs#mixer.mix") == 401
    assert me.type_key(KEY, "nav").startswith(service.url + "/docs")
    me.do(lambda page: page.get_by_role("link", name="Sign out").click())
    me.do(lambda page: page.get_by_role("button", name="Sign out").click())
    me.do(lambda page: page.wait_for_selector("#key"))
    assert me.open(service.url + "/docs") == 401


def test_being_signed_in_outlives_the_service(
    tmp_path: Path, launch: Callable[..., Service], person: Callable[..., Person]
) -> None:
    """After a restart nobody signs in again; after a restart without their key, they cannot."""
    service = launch(folder=tmp_path, workers=[], api_keys=KEYS)
    me = person()
    me.open(service.url + "/docs")
    me.type_key(KEY, "nav")
    service.stop()
    port = urlsplit(service.url).port
    again = launch(folder=tmp_path, workers=[], api_keys=KEYS, port=port)
    assert again.url == service.url
    assert me.open(again.url + "/docs") == 200
    again.stop()
    other = ["other:" + hashlib.sha256(b"another").hexdigest()]
    launch(folder=tmp_path, workers=[], api_keys=other, port=port)
    assert me.open(again.url + "/docs") == 401
    me.type_key(KEY, "#wrong")
    assert me.type_key("another", "nav") == again.url + "/docs"


def test_other_pages_get_nothing(
    launch: Callable[..., Service], person: Callable[..., Person], foreign: str
) -> None:
    """A page on another port of this host, for which browsers do add the cookie, can neither read,
    nor change, nor open a WebSocket; a link on it leads in, one from another site as well."""
    service = launch(workers=[], api_keys=KEYS)
    me = person()
    me.open(service.url + "/docs")
    me.type_key(KEY, "nav")
    me.open(f"{foreign}?{service.url}/docs")
    found = me.do(lambda page: page.evaluate(ATTACK, service.url))
    assert found == ["refused", "refused", "refused"]
    queue = service.ask("GET", "/v1/queue", headers=BEARER).json()
    assert queue["paused"] is False
    # the browser would not have shown what came; it was not even sent
    until("the picture was refused", lambda: 403 in _statuses(service, "/v1/queue"), seconds=60)
    assert _follow(me) == service.url + "/docs"
    elsewhere = foreign.replace("127.0.0.1", "localhost")
    me.open(f"{elsewhere}?{service.url}/docs")
    assert _follow(me) == service.url + "/docs"
    # somebody who is not signed in gets the form, and no loop
    stranger = person()
    stranger.open(f"{elsewhere}?{service.url}/docs")
    stranger.do(lambda page: page.click("a"))
    stranger.type_key(KEY, "nav")


def _statuses(service: Service, path: str) -> list[int]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    return [line["status"] for line in lines if line.get("path") == path]


def _follow(me: Person) -> str:
    def go(page: Page) -> str:
        page.click("a")
        page.wait_for_selector("nav")
        return page.url

    return str(me.do(go))
