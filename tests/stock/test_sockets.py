"""WebSockets of stock clients: identity, features, and clients that misbehave."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import websocket

from backend.testing.service import until
from backend.testing.stock_client import StockClient

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def silent(url: str, client_id: str) -> socket.socket:
    """A client that opens a WebSocket and never reads it."""
    parts = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((parts.hostname, parts.port))
    path = f"{parts.path}/ws?clientId={client_id}"
    connection.sendall(HANDSHAKE.format(path=path, host=parts.netloc).encode())
    return connection


def test_a_client_is_greeted_with_its_id(client, more_clients):
    """The first message is the queue's state with the id: the client's own, or a new one."""
    first = client.hear()
    assert first == {
        "type": "status",
        "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client.client_id},
    }
    nameless = more_clients("")
    nameless.client_id = ""
    sid = nameless.connect().until("status")["sid"]
    assert len(sid) == 32


def test_features_are_negotiated(client):
    """ComfyUI answers a client's features with its own."""
    client.say({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
    assert client.until("feature_flags")["supports_preview_metadata"] is True


def test_an_id_that_is_no_id(client):
    """An id of many characters is refused before the WebSocket opens; so is a plain GET."""
    assert client.ask("GET", "/ws?clientId=" + "x" * 300).status == 422
    assert client.ask("GET", "/ws?clientId=x").status == 422


def test_messages_go_to_their_client_only(client, more_clients, graphs):
    """Another client hears of the queue, not of the prompt."""
    other = more_clients().connect()
    client.until_done(client.post(graphs.picture(100))["prompt_id"])
    heard = {other.hear()["type"] for _ in range(4)}
    assert heard == {"status"}


def until_greeted(client: StockClient) -> None:
    """Return when the client is told its id (again): from now on it hears."""
    while "sid" not in client.until("status"):
        continue


def test_a_thief_of_an_id_breaks_nothing(client, more_clients, graphs, tmp_path):
    """Who takes another's id hears in its place, as with ComfyUI; the job goes on, and when the
    thief leaves, its owner hears again."""
    while_there, after_it = tmp_path / "while there", tmp_path / "after it"
    running = client.post(graphs.held(101, while_there, after_it))["prompt_id"]
    client.until("executing", running)
    thief = more_clients(client.client_id).connect()
    assert thief.until("status")["sid"] == client.client_id
    while_there.touch()
    thief.until("executing", running)
    thief.close()
    until_greeted(client)
    after_it.touch()
    client.until("executing", running)
    assert client.until_done(running)["status"]["completed"] is True
    after = client.post(graphs.picture(102))["prompt_id"]
    assert client.until_done(after)["status"]["completed"] is True


def test_a_client_that_never_reads_harms_nobody(stock, client, graphs):
    """Its buffer is bounded, it is dropped when that is full, and others are served meanwhile."""
    deaf = silent(client.url, "deaf")
    try:
        # each of these prompts is heard of by the deaf client alone, 20 MB in all
        for number in range(50):
            text = "x" * 400_000 + str(number)
            graph = {
                "1": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": text}},
                "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
            }
            client.ask("POST", "/prompt", {"prompt": graph, "client_id": "deaf"})
        client.until_done(client.post(graphs.picture(103))["prompt_id"])
        until(
            "the deaf client is dropped",
            lambda: "does not read its WebSocket" in stock.log.read_text(),
            seconds=300,
        )
    finally:
        deaf.close()
    assert client.get("/prompt")["exec_info"]["queue_remaining"] == 0


def test_what_a_client_says_is_bounded(client, more_clients):
    """Nonsense is passed over, and a message of many megabytes closes that connection only."""
    other = more_clients().connect()
    other.until("status")
    other.say({"type": "nonsense"})
    other._ws.send("no json")
    other._ws.send("x" * (2 * 2**20))

    def listen() -> None:
        for _ in range(50):
            other.hear()

    with pytest.raises((websocket.WebSocketException, ConnectionError, ValueError)):
        listen()
    assert client.until("status")["sid"] == client.client_id
