"""A stock client of ComfyUI's API, as its own example scripts are: HTTP and a WebSocket, by url.

Knows: the protocol from a client's side, with a deadline on every wait.
Does not know: whether ComfyUI's own server answers, or Kino. Tests and benchmarks use it on both.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from backend.testing.service import Answer, until

PATIENCE_S: Final = 180.0
Message = dict[str, Any]


class StockClient:
    """One client. *url* is where ``/prompt`` and ``/ws`` are, without a slash at the end."""

    def __init__(self, url: str, client_id: str | None = None, **headers: str) -> None:
        self.url = url
        self.client_id = client_id or uuid.uuid4().hex
        self.headers = headers
        self.heard: list[Message] = []
        self.binary: list[bytes] = []
        self._ws: Any = None

    # --- HTTP -------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own, without a content type, as urllib sends it."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE_S)
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(
                method, parts.path + path, body=sent, headers={**self.headers, **(headers or {})}
            )
            got = connection.getresponse()
            names = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, names, got.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON behind *path*. Raises ``RuntimeError`` for anything but 200."""
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {answer.body[:300]!r}")
        return answer.json()

    def post(self, prompt: Mapping[str, Any], **more: Any) -> Any:
        """Post a prompt; the answer's JSON. Raises ``RuntimeError`` for a refusal."""
        body = {"prompt": dict(prompt), "client_id": self.client_id, **more}
        answer = self.ask("POST", "/prompt", body)
        if answer.status != 200:
            raise RuntimeError(f"POST /prompt: {answer.status} {answer.body[:500]!r}")
        return answer.json()

    def history(self, prompt_id: str) -> Any:
        """The history's entry of a prompt."""
        return self.get(f"/history/{prompt_id}")[prompt_id]

    def until_listed(self, prompt_id: str, seconds: float = PATIENCE_S) -> Any:
        """Ask until the history has the prompt, as a client without a WebSocket does; its entry."""

        def listed() -> Any:
            return self.get(f"/history/{prompt_id}").get(prompt_id)

        return until(f"{prompt_id} is in the history", listed, seconds=seconds)

    def view(self, item: Mapping[str, str]) -> Answer:
        """A file that the history names."""
        return self.ask("GET", "/view?" + urlencode(dict(item)))

    def upload(self, content: bytes, name: str, kind: str = "image", **fields: str) -> Answer:
        """``POST /upload/image``, or ``mask``."""
        edge = uuid.uuid4().hex
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in fields.items()
        ]
        head = f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        parts += [head.encode() + b"Content-Type: image/png\r\n\r\n", content]
        body = b"".join(parts) + f"\r\n--{edge}--\r\n".encode()
        sent = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        return self.ask("POST", f"/upload/{kind}", body, sent)

    # --- WebSocket --------------------------------------------------------------------------

    def connect(self, **options: Any) -> StockClient:
        """Open the WebSocket under this client's id."""
        import websocket

        self._ws = websocket.WebSocket()
        self._ws.settimeout(PATIENCE_S)
        address = self.url.replace("http", "ws", 1) + f"/ws?clientId={self.client_id}"
        header = [f"{name}: {value}" for name, value in self.headers.items()]
        self._ws.connect(address, header=header, suppress_origin=True, **options)
        return self

    def say(self, message: Message) -> None:
        """Send a JSON message."""
        self._ws.send(json.dumps(message))

    def hear(self, seconds: float = PATIENCE_S) -> Message | None:
        """The next message that is JSON; ``None`` for a binary one, which is kept in ``binary``.

        Raises ``TimeoutError`` after *seconds*.
        """
        import websocket

        self._ws.settimeout(max(seconds, 0.001))
        try:
            said = self._ws.recv()
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError("no message came") from error
        if isinstance(said, bytes):
            self.binary.append(said)
            return None
        message: Message = json.loads(said)
        self.heard.append(message)
        return message

    def until(
        self, kind: str, prompt_id: str | None = None, seconds: float = PATIENCE_S
    ) -> Message:
        """Listen until a message of this type comes (about this prompt); its data."""
        end = time.monotonic() + seconds
        while True:
            message = self.hear(end - time.monotonic())
            if message is None or message["type"] != kind:
                continue
            data: Message = message["data"]
            if prompt_id is None or data.get("prompt_id") == prompt_id:
                return data

    def until_done(self, prompt_id: str, seconds: float = PATIENCE_S) -> Any:
        """Listen until ComfyUI says that the prompt is over, as its examples do; the history."""
        end = time.monotonic() + seconds
        while self.until("executing", prompt_id, end - time.monotonic())["node"] is not None:
            continue
        return self.history(prompt_id)

    def close(self) -> None:
        ws, self._ws = self._ws, None
        if ws is not None:
            ws.close(timeout=1)
            ws.shutdown()
