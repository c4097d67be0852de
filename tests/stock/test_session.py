"""A browser's session at ComfyUI's own API: below ``/comfy``, and at the root of a port."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
import websocket

from backend.testing.service import Service
from backend.testing.stock_client import StockClient

KEY = "a-key-of-some-length"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}


def test_one_session_for_both_ports(launch: Callable[..., Service], graphs: Any) -> None:
    """The port of stock clients has the form as well; its cookie is good for both ports, over HTTP
    and WebSockets of each one's own pages, until the person signs out at either."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    service = launch(workers=["cpu"], comfyui__port=0, api_keys=[f"me:{digest}"])
    root = graphs.root_url(service)
    there = StockClient(root)
    form = there.ask("GET", "/", headers={"Accept": "text/html"})
    assert (form.status, b'action="/v1/session"' in form.body) == (401, True)
    body = urlencode({"key": KEY, "next": "/queue"}).encode()
    answer = there.ask("POST", "/v1/session", body, headers={**FORM, "Origin": root})
    assert (answer.status, answer.headers["location"]) == (303, "/queue")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    for url, origin in ((service.url + "/comfy", service.url), (root, root)):
        mine = StockClient(url, Cookie=cookie, Origin=origin)
        assert mine.get("/queue") == {"queue_running": [], "queue_pending": []}
        assert mine.connect().until("status")["sid"] == mine.client_id
        mine.close()
        # a page of one port is not one of the other
        other = StockClient(url, Cookie=cookie, Origin="http://127.0.0.1:1")
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            other.connect()
        assert other.ask("POST", "/queue", {"clear": True}).status == 403
    page = there.ask("GET", "/signin", headers={"Cookie": cookie})
    assert (page.status, b'<a href="/">' in page.body) == (200, True)
    assert there.ask("POST", "/signout", headers={"Cookie": cookie, "Origin": root}).status == 303
    for url in (service.url + "/comfy", root):
        assert StockClient(url, Cookie=cookie).ask("GET", "/queue").status == 401
