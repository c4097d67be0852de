"""What stock clients may not do: foreign hosts and pages, bad bodies, names that lead elsewhere."""

from __future__ import annotations

import hashlib
import io
import json

import psutil
import pytest
from PIL import Image

from backend.testing.service import Service
from backend.testing.stock_client import StockClient

KEY = "a-key-of-some-length"
PROBLEM = "application/problem+json"


def png(size=(8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (1, 2, 3)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("path", ["/queue", "/system_stats", "/", "/ws", "/object_info"])
def test_foreign_hosts_and_pages_are_refused(stock, client, graphs, path):
    """Host allow-list and Origin check stand before every path, on both ports."""
    for url in (client.url, graphs.root_url(stock)):
        there = StockClient(url)
        assert there.ask("GET", path, headers={"Host": "evil.example"}).status == 421
        assert there.ask("GET", path, headers={"Origin": "null"}).status == 403
        assert there.ask("GET", path, headers={"Origin": "https://evil.example"}).status == 403


def test_pages_of_our_own_may_ask(stock, client):
    """The editor's page is of the same origin."""
    own = {"Origin": stock.url, "Sec-Fetch-Site": "same-origin"}
    assert client.ask("GET", "/queue", headers=own).status == 200
    assert client.ask("GET", "/features", headers=own).status == 200


def test_the_worker_answers_the_service_alone(stock):
    """Where the worker listens on a port, whoever has not the one-time token is refused."""
    (worker,) = stock.get("/v1/system")["workers"]
    ports = {
        each.laddr.port
        for each in psutil.Process(worker["pid"]).net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }
    (port,) = ports
    stranger = StockClient(f"http://127.0.0.1:{port}")
    for headers in ({}, {"Kino-Token": "guess"}):
        assert stranger.ask("GET", "/system_stats", headers=headers).status == 403
    assert "token" not in json.dumps(stock.get("/v1/system")).lower()


def test_keys_count_for_every_path_and_the_websocket(tmp_path_factory):
    """With keys, nothing answers without one; a Bearer key opens HTTP and WebSocket."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    service = Service.start(
        tmp_path_factory.mktemp("keys"), workers=["cpu"], api_keys=[f"me:{digest}"]
    )
    try:
        stranger = StockClient(service.url + "/comfy")
        for path in ("/queue", "/history", "/ws", "/", "/api/object_info"):
            assert stranger.ask("GET", path).status == 401
        mine = StockClient(service.url + "/comfy", Authorization=f"Bearer {KEY}")
        assert mine.get("/queue") == {"queue_running": [], "queue_pending": []}
        assert mine.connect().until("status")["sid"] == mine.client_id
        mine.close()
        # no worker of this service has a ComfyUI
        absent = mine.ask("GET", "/object_info")
        assert (absent.status, absent.json()["remedy"]) == (503, "Add 'comfy' to KINO_WORKERS.")
    finally:
        service.stop()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/prompt", b"[1, 2]", 400),
        ("/prompt", b"5", 400),
        ("/prompt", b"no json", 400),
        ("/prompt", b"", 400),
        ("/prompt", b"[" * 100_000, 400),
        ("/prompt", {"prompt": [1]}, 400),
        ("/prompt", {"prompt": {"1": 5}}, 400),
        ("/prompt", {"prompt": {"1": {"class_type": "SaveImage", "inputs": []}}}, 400),
        ("/prompt", {"prompt": {}, "number": "first"}, 400),
        ("/prompt", {"prompt": {}, "extra_data": "none"}, 400),
        ("/queue", b"[1]", 400),
        ("/queue", {"delete": "all"}, 422),
        ("/history", b'"x"', 400),
        ("/history", {"delete": [1]}, 422),
        ("/interrupt", b"[]", 400),
        ("/interrupt", {"prompt_id": 5}, 422),
        ("/free", b"[]", 400),
        ("/api/free", b"x", 400),
    ],
)
def test_bodies_that_are_no_json_objects(client, path, body, status):
    """Each is a problem with a sentence; a refused prompt has ComfyUI's own members besides."""
    answer = client.ask("POST", path, body)
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (status, PROBLEM)
    told = answer.json()
    assert told["detail"]
    if path == "/prompt":
        assert told["error"]["message"]
        assert told["node_errors"] == {}


def test_prompts_that_comfyui_refuses(client):
    """An invalid prompt is answered as ComfyUI answers it, status and JSON."""
    unknown = client.ask("POST", "/prompt", {"prompt": {"1": {"class_type": "No", "inputs": {}}}})
    assert unknown.status == 400
    assert unknown.json()["error"]["type"] == "missing_node_type"
    none = client.ask("POST", "/prompt", {})
    assert (none.status, none.json()["error"]["type"]) == (400, "no_prompt")
    wrong_id = client.ask("POST", "/prompt", {"prompt": {}, "prompt_id": "../../x"})
    assert wrong_id.json()["error"]["type"] == "invalid_prompt_id"
    assert client.get("/prompt")["exec_info"]["queue_remaining"] == 0


def test_uploads_arrive_and_are_shown(stock, client):
    """An image goes to ComfyUI's input folder, and a mask over it; /view gives both back."""
    answer = client.upload(png(), "up.png", subfolder="sub/deeper")
    assert answer.json() == {"name": "up.png", "subfolder": "sub/deeper", "type": "input"}
    stored = stock.data_dir / "comfyui" / "input" / "sub" / "deeper" / "up.png"
    assert stored.read_bytes() == png()
    ref = json.dumps({"filename": "up.png", "subfolder": "sub/deeper", "type": "input"})
    mask = client.upload(png(), "mask.png", "mask", original_ref=ref)
    assert mask.status == 200
    shown = client.view({**mask.json(), "filename": "mask.png"})
    assert Image.open(io.BytesIO(shown.body)).mode == "RGBA"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("../evil.png", {}),
        ("../../../../tmp/evil.png", {}),
        ("/etc/evil.png", {}),
        ("evil.png", {"subfolder": "../.."}),
        ("evil.png", {"subfolder": "/etc"}),
        ("no/such/folder/evil.png", {}),
        ("evil.png", {"type": "secret"}),
        ("x" * 5000 + ".png", {}),
        ("", {}),
    ],
)
def test_uploads_with_names_that_lead_elsewhere(stock, client, name, fields):
    """Each is refused with a sentence, and nothing is written outside of the input folder."""
    answer = client.upload(png(), name, **fields)
    assert (answer.status, answer.headers["content-type"]) == (400, PROBLEM)
    assert str(stock.data_dir) not in answer.body.decode()
    written = {path.name for path in stock.data_dir.rglob("*evil*")}
    assert written == set()


def test_uploads_that_are_no_uploads(client):
    """A body that is no form, a mask without its picture: a 400 problem, not a bare failure."""
    plain = client.ask("POST", "/upload/image", b"abc", {"Content-Type": "text/plain"})
    assert (plain.status, plain.headers["content-type"].split(";")[0]) == (400, PROBLEM)
    mask = client.upload(png(), "m.png", "mask")
    assert (mask.status, mask.headers["content-type"]) == (400, PROBLEM)


def test_views_that_lead_elsewhere(client):
    """Paths out of the folders are refused or not found, without a path in the answer."""
    for query in (
        "filename=..%2f..%2fkino.db",
        "filename=/etc/passwd",
        "filename=a.png&subfolder=..%2f..",
        "filename=a.png&type=secret",
        "filename=none.png",
    ):
        answer = client.ask("GET", "/view?" + query)
        assert answer.status in (400, 403, 404), query
        assert answer.headers["content-type"] == PROBLEM


def test_what_users_put_there_runs_no_script(client):
    """A file that a browser would execute comes as an attachment, sandboxed by its policy."""
    page = client.upload(b"<script>alert(1)</script>", "page.html")
    shown = client.view(page.json() | {"filename": "page.html"})
    assert shown.status == 200
    assert shown.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["x-content-type-options"] == "nosniff"
    policy = client.ask("GET", "/").headers["content-security-policy"]
    assert "default-src 'self'" in policy


def test_parts_of_a_file_can_be_asked_for(client):
    """Range and conditional requests reach ComfyUI's file answers and come back."""
    item = client.upload(png((300, 300)), "range.png").json()
    whole = client.view(item | {"filename": item["name"]})
    query = f"/view?filename={item['name']}&type=input"
    part = client.ask("GET", query, headers={"Range": "bytes=5-14"})
    assert (part.status, part.body) == (206, whole.body[5:15])
    assert part.headers["content-range"] == f"bytes 5-14/{len(whole.body)}"
    again = client.ask("GET", query, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    head = client.ask("HEAD", query)
    assert (head.status, head.headers["content-length"]) == (200, str(len(whole.body)))


def test_large_uploads_are_streamed(stock, client):
    """More than a JSON body may have, and more than a buffer holds, arrives whole."""
    content = png() + b"\0" * (24 * 2**20)
    answer = client.upload(content, "large.png")
    assert answer.status == 200
    stored = stock.data_dir / "comfyui" / "input" / "large.png"
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(content).digest()
    stored.unlink()


def test_the_catalogue_is_kept_until_files_change(stock, client):
    """/object_info comes from the API process with an ETag; a new model file makes a new one."""
    first = client.ask("GET", "/object_info")
    tag = first.headers["etag"]
    assert len(first.json()) > 500
    assert client.ask("GET", "/api/object_info", headers={"If-None-Match": tag}).status == 304
    packed = client.ask("GET", "/object_info", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(first.body) / 4
    model = stock.data_dir / "models" / "upscale_models" / "brandnew.safetensors"
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_bytes(b"x")

    def listed() -> bool:
        answer = client.ask("GET", "/object_info")
        assert answer.status == 200
        return b"brandnew.safetensors" in answer.body and answer.headers["etag"] != tag

    from backend.testing.service import until

    until("the new file is listed", listed, seconds=300, every=0.2)
    model.unlink()
