"""ComfyUI's pages under the policy that they get, in front of a server that stands in for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, Final

import pytest

from backend.handlers.comfyui_upstream import Upstream
from backend.handlers.keys import COMFYUI, SETTINGS

THEIRS: Final = "script-src 'self' https://example.org"


class Page(BaseHTTPRequestHandler):
    """Answers with a policy of its own."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Security-Policy", THEIRS)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *told: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Where the stand-in listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("local_only", [True, False])
@pytest.mark.parametrize(
    ("path", "sandboxed"),
    [
        ("/", False),
        ("/api/view?filename=a.svg", True),
        ("/%76iew?filename=a.svg", True),
        ("/api/userdat%61/a.svg", True),
        ("//[", False),
    ],
)
async def test_a_page_gets_our_policy(
    open_door: Any, port: int, local_only: bool, path: str, sandboxed: bool
) -> None:
    """By default a page may reach this service only; asked to, Kino leaves ComfyUI's own policy.
    Files that people sent run nothing either way."""
    worker = SimpleNamespace(kind="comfy", is_ready=True, info={"server": {"port": port}})
    pool: Any = SimpleNamespace(processes=[worker], comfyui=None)

    async def stock(app: Any) -> AsyncIterator[None]:
        upstream = Upstream(app[SETTINGS], pool)
        app[COMFYUI] = SimpleNamespace(
            upstream=upstream, sockets=SimpleNamespace(close=upstream.close)
        )
        yield

    door = await open_door(parts=(stock,), comfyui={"local_only": local_only})
    request = f"GET /editor{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"  # a client may tidy it up
    policy = (await door.raw(request.encode())).headers["content-security-policy"]
    if sandboxed:
        assert "sandbox" in policy
    elif local_only:
        assert policy.startswith("default-src 'self';")
    else:
        assert policy == THEIRS
