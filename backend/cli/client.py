"""The HTTP API as seen from the command line.

Knows: requests, streamed uploads and downloads, problems, and a deadline for every wait.
Does not know: commands, parameters, and what is shown.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from backend.cli.failure import Failure, Misused, Unreachable, from_problem

ANSWER_S: Final = 60.0
"""Longest silence of the service, also between two blocks of a transfer."""

DECODE_S: Final = 900.0
"""Longest wait for the answer to an upload, as the service decodes the file first."""

BLOCK: Final = 1 << 20
_WRITTEN: Final = "Write http://HOST:PORT."
Moved = Callable[[int, int], None]
"""Told ``(bytes so far, bytes in all)`` while a file travels."""


class Client:
    """A service at *url*; each request has a connection of its own."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        """Raises `Misused` for an address or a key that can be none."""
        try:
            parts = urlsplit(url if "//" in url else f"//{url}", scheme="http")
            self._port = parts.port
        except ValueError as error:
            raise Misused(f"{url!r} is no address of a service", _WRITTEN) from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misused(f"{url!r} is no address of a service", _WRITTEN)
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise Misused("the API key holds characters that no key has", "Mend KINO_API_KEY.")
        self._secure, self._host = parts.scheme == "https", parts.hostname
        self._prefix = quote(parts.path.rstrip("/"), safe="/%")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    # --- JSON -------------------------------------------------------------------------------

    def get(self, path: str, **query: object) -> Any:
        """The JSON at *path*; parts of *query* that are None are left out."""
        return self.ask("GET", path, query=query)

    def post(self, path: str, value: object, headers: Mapping[str, str] | None = None) -> Any:
        """Send JSON; the answer's JSON."""
        body = json.dumps(value, allow_nan=False).encode()
        return self.ask(
            "POST", path, body, headers={"Content-Type": "application/json", **(headers or {})}
        )

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
        seconds: float = ANSWER_S,
    ) -> Any:
        """One request with a JSON answer. Raises `Failure` for a problem unless its status is in
        *accept*, `Unreachable` if no service answers."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        with self._exchange(method, target, body, headers or {}, seconds) as response:
            text = response.read()
            return self._understand(response, text, accept)

    # --- files ------------------------------------------------------------------------------

    def upload(self, path: Path, moved: Moved | None = None) -> Any:
        """Store a file, streamed from the disk; the asset's JSON. Raises `Misused` without it."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise Misused(f"{path} cannot be read: {error.strerror}") from error
        with file:
            if not path.is_file():
                raise Misused(f"{path} is not a file")
            size = os.fstat(file.fileno()).st_size
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            target = f"/v1/assets?{urlencode({'file_name': path.name}, errors='replace')}"
            body = _Reader(file, size, moved)
            with self._exchange("POST", target, body, headers, DECODE_S) as response:
                return self._understand(response, response.read(), ())

    def download(self, path: str, write: Callable[[bytes], object]) -> int:
        """Stream the content at *path* into *write*; the number of bytes.

        Raises `Unreachable` if the service stops in the middle.
        """
        with self._exchange("GET", path, None, {}, ANSWER_S) as response:
            if response.status != http.client.OK:
                self._understand(response, response.read(), ())
            wanted, got = response.length, 0
            while block := response.read(BLOCK):
                _write(write, block)
                got += len(block)
        if wanted is not None and got != wanted:
            raise Unreachable(f"{self.url} ended the download after {got} of {wanted} bytes")
        return got

    def events(
        self, path: str, after: int, seconds: float = ANSWER_S
    ) -> Iterator[dict[str, Any] | None]:
        """The server-sent events at *path* after number *after*, as they come, and None for each
        sign of life in between.

        Ends when the service ends the stream; raises `Unreachable` after *seconds* of silence.
        """
        with self._exchange("GET", f"{path}?after={after}", None, {}, seconds) as response:
            if response.status == http.client.NO_CONTENT:
                return
            if response.status != http.client.OK:
                self._understand(response, response.read(), ())
            for line in response:
                yield json.loads(line[5:]) if line.startswith(b"data:") else None

    # --- inside -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _exchange(
        self,
        method: str,
        target: str,
        body: bytes | _Reader | None,
        headers: Mapping[str, str],
        seconds: float,
    ) -> Iterator[http.client.HTTPResponse]:
        """One request on a new connection; network errors become `Unreachable`."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=ANSWER_S, blocksize=BLOCK)
        sent = {"Accept": "application/json, */*", **self._headers, **headers}
        try:
            with contextlib.closing(connection):
                connection.connect()
                connection.sock.settimeout(min(seconds, ANSWER_S))
                try:
                    connection.request(method, self._prefix + target, body=body, headers=sent)
                except (BrokenPipeError, ConnectionResetError):
                    # refused in the middle of an upload: the answer is there to be read
                    if not isinstance(body, _Reader):
                        raise
                connection.sock.settimeout(seconds)
                yield connection.getresponse()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            # UnicodeError: a host name that can be none
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, TimeoutError):
            why = "no answer in time"
        else:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Unreachable(
            f"Kino does not answer at {self.url} ({why})",
            "Start it with `kino serve`, or give its address by --url or KINO_URL.",
        )

    def _understand(
        self, response: http.client.HTTPResponse, text: bytes, accept: tuple[int, ...]
    ) -> Any:
        try:
            value = json.loads(text) if text else None
        except ValueError as error:
            raise self._stranger() from error
        if response.status < http.client.BAD_REQUEST or response.status in accept:
            return value
        if not isinstance(value, dict) or "title" not in value:
            raise self._stranger()
        if response.status == http.client.UNAUTHORIZED:
            value.setdefault("remedy", "Put the key into KINO_API_KEY.")
        raise from_problem(value)

    def _stranger(self) -> Unreachable:
        return Unreachable(
            f"something that is not Kino answers at {self.url}",
            "Give Kino's address by --url or KINO_URL.",
        )


class _Reader:
    """A file as a request body, telling how far it is; never more than the declared size."""

    def __init__(self, file: IO[bytes], size: int, moved: Moved | None) -> None:
        self._file, self._size, self._moved, self._done = file, size, moved, 0

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._done
        try:
            block = self._file.read(left if size < 0 else min(size, left))
        except OSError as error:
            raise Failure(f"{self._file.name} cannot be read: {error.strerror}") from error
        if left and not block:
            raise Failure(f"{self._file.name} became shorter while it was read")
        self._done += len(block)
        if block and self._moved is not None:
            self._moved(self._done, self._size)
        return block


def _write(write: Callable[[bytes], object], block: bytes) -> None:
    try:
        write(block)
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `… --output - | head`: the reader has enough
            raise Failure("nobody reads the output any more") from error
        raise Failure(f"the file cannot be written: {error.strerror}") from error


def segment(text: str) -> str:
    """*text* as one segment of a path."""
    if text in ("", ".", ".."):
        raise Failure(f"nothing is called {text!r}")
    return quote(text, safe="")
