"""Fetching a model file: whole or not at all, resumed, checked, and by one process at a time.

Knows: HTTP ranges (RFC 9110 §14, If-Range §13.1.5), redirects, checksums, full disks.
Does not know: which file is wanted and why (``services.model_files``).

Beside an unfinished ``NAME.partial`` lies ``NAME.partial.source``: the address and the validator
(ETag or date) of what it is a part of. Without a validator it is begun anew, because nobody could
tell whether the rest still belongs to it. Hugging Face's redirects carry the file's SHA-256 as
``X-Linked-ETag``; it is checked if no other is given.
"""

from __future__ import annotations

import errno
import hashlib
import http
import http.client
import json
import os
import re
import shutil
import string
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from backend.errors import Conflict, KinoError, OperationFailed, StorageFull, UpstreamFailed
from backend.media import weights
from backend.services.data_folder import take
from backend.services.model_folders import PARTIAL
from backend.services.model_wants import web_parts

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; 0 if the server does not say."""

_CHUNK: Final = 1 << 20
_TIMEOUT_S: Final = 60.0
"""Longest silence of the server."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_DIGEST: Final = re.compile(r'"?([0-9a-f]{64})"?')
AGAIN: Final = "Check the network and run the same command again: it goes on from there."


def download(url: str, target: Path, progress: Progress, sha256: str = "") -> Path:
    """Fetch *url* to *target*, where it appears whole or not at all; what an earlier call left
    unfinished is gone on with, if it is still the same file there. A file that is there is kept.

    Raises `UpstreamFailed` if the source does not answer or gives less than it says,
    `OperationFailed` if the content is not what was promised, `Conflict` if another process fetches
    the same file, `StorageFull`.
    """
    parts = web_parts(url)
    if parts is None or parts.scheme not in ("https", "http"):
        raise OperationFailed(
            f"{target.name} is not fetched from a web address: {url}",
            remedy=f"Get it there and put it at {target}.",
        )
    try:
        if not target.is_file():  # else its folder may be one that nobody may write to
            target.parent.mkdir(parents=True, exist_ok=True)
            with _alone(target):
                if not target.is_file():
                    part = _Part(target, url)
                    promised = _fetch(part, progress)
                    _check(part, sha256 or promised)
                    part.finish()
                    return target
        _check_digest(target, sha256, keep=True)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise _unanswered(url, target, error) from error
    except OSError as error:
        raise _unkept(target, error) from error
    return target


@dataclass(frozen=True, slots=True)
class _Part:
    """The unfinished file and the note beside it."""

    target: Path
    url: str

    @property
    def path(self) -> Path:
        return self.target.with_name(self.target.name + PARTIAL)

    @property
    def note(self) -> Path:
        return self.target.with_name(f"{self.target.name}{PARTIAL}.source")

    def validator(self) -> str | None:
        """That of which the unfinished file is a part; None if it cannot be gone on with."""
        try:
            said = json.loads(self.note.read_bytes())
        except (OSError, ValueError):  # absent, or written by halves: begin anew
            return None
        same = isinstance(said, dict) and said.get("url") == self.url and self.path.is_file()
        return str(said["validator"]) if same and said.get("validator") else None

    def remember(self, headers: Message) -> None:
        """Write the note. A weak ETag promises nothing about bytes, so it does not count."""
        tag = headers.get("ETag")
        strong = tag if tag and not tag.startswith("W/") else None
        said = {"url": self.url, "validator": strong or headers.get("Last-Modified")}
        self.note.write_text(json.dumps(said))

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def finish(self) -> None:
        self.path.replace(self.target)
        self.note.unlink(missing_ok=True)


def _fetch(part: _Part, progress: Progress) -> str:
    """Append to the partial file until it is whole; what the publisher promised as its SHA-256.

    Raises ``OSError`` and what urllib does.
    """
    validator = part.validator()
    have = part.path.stat().st_size if validator else 0
    request = urllib.request.Request(_as_sent(part.url), headers={"User-Agent": "kino"})
    if have and validator:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", validator)
    redirects = _Redirects()
    try:
        answer = urllib.request.build_opener(redirects).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        error.close()
        part.drop()  # it was longer than what the source has now
        return _fetch(part, progress)
    with answer:
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if goes_on and not _begins_at(answer.headers, have):
            part.drop()
            raise http.client.HTTPException("the server sent another part than was asked for")
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        if not goes_on:
            part.drop()  # first, so that a note never stands beside what it does not describe
            part.remember(answer.headers)
        _refuse_too_large(part.path, total, have)
        with part.path.open("ab" if goes_on else "wb") as file:
            have = _copy(answer, file, have, total, progress)
    if total is not None and have < total:
        raise http.client.IncompleteRead(b"", total - have)
    return redirects.promised


def _copy(answer: Any, file: IO[bytes], have: int, total: int | None, progress: Progress) -> int:
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        have += len(chunk)
        progress(have, total or 0)
    file.flush()
    os.fsync(file.fileno())
    return have


def _as_sent(url: str) -> str:
    """An address as HTTP takes it: what is no ASCII, and spaces, in its path as %XX."""
    parts = urlsplit(url)
    path, query = (quote(part, safe=string.punctuation) for part in (parts.path, parts.query))
    return urlunsplit(parts._replace(path=path, query=query))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never to something less safe; keeps the SHA-256 that one carried."""

    promised = ""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https" and urlsplit(req.full_url).scheme == "https":
            raise urllib.error.URLError("it leads from https to an address without it")
        found = _DIGEST.fullmatch(headers.get("X-Linked-ETag", ""))
        if found:
            self.promised = found[1]
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _begins_at(headers: Message, start: int) -> bool:
    said = headers.get("Content-Range", "")
    return not said or said.startswith(f"bytes {start}-")


def _refuse_too_large(path: Path, total: int | None, have: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if total is not None and total - have > free:
        raise StorageFull(
            f"{total - have} bytes are still to come, and {free} are free on the disk",
            remedy="Free some space, or choose another KINO_COMFYUI__MODELS_DIR, and run it again.",
        )


def _check(part: _Part, sha256: str) -> None:
    """Refuse, and remove, what is not what was promised, or no whole safetensors file."""
    try:
        _check_digest(part.path, sha256, keep=False)
        if part.target.suffix.lower() in weights.SUFFIXES:
            weights.read_header(part.path)
    except weights.BadHeader as error:
        part.drop()
        raise OperationFailed(
            f"what {part.url} gives is no safetensors file: {error}",
            remedy="Open the address in a browser: it may be a page about the file, or a login.",
        ) from error
    except OperationFailed:
        part.drop()
        raise


def _check_digest(path: Path, sha256: str, *, keep: bool) -> None:
    if not sha256:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found == sha256.lower():
        return
    name = path.name.removesuffix(PARTIAL)
    raise OperationFailed(
        f"{name} has the SHA-256 {found[:16]}…, not {sha256[:16]}…",
        remedy="It is another file; move it away to fetch this one."
        if keep
        else "Nothing was kept. The source may have changed; ask whoever published the checksum.",
    )


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One download of a file at a time, also across processes; the lock goes with its holder."""
    path = target.with_name(f".{target.name}.lock")
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not take(file) or not _is_still(file, path):
            raise Conflict(
                f"another process is already downloading {target.name}",
                remedy="Wait for it, or end it; then run this again.",
            )
        try:
            yield
        finally:
            _remove(path)
    finally:
        os.close(file)


def _is_still(file: int, path: Path) -> bool:
    """Whether the open file still has this name; its last holder may just have removed it."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # Windows keeps what is open; the file is empty and does no harm
        return


def _unanswered(url: str, target: Path, error: Exception) -> KinoError:
    name, remedy = target.name, AGAIN
    if isinstance(error, urllib.error.HTTPError):
        said = f"{error.code} {error.reason}"
        error.close()
        if error.code in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            remedy = (
                "Its publisher asks for a login or for consent to a licence: get it in a browser"
                f" and put it at {target}."
            )
    elif isinstance(error, urllib.error.URLError):
        said = str(error.reason)
    elif isinstance(error, TimeoutError):
        said = "no answer"
    elif isinstance(error, http.client.IncompleteRead):
        said = "the connection ended too early"
    else:
        said = str(error) or "the connection ended too early"
    return UpstreamFailed(f"{name} could not be fetched from {url}: {said}", remedy=remedy)


def _unkept(target: Path, error: OSError) -> KinoError:
    if error.errno in _FULL:
        return StorageFull("the disk is full", remedy="Free some space and run it again.")
    return UpstreamFailed(
        f"{target.name} could not be fetched: {error.strerror or error}", remedy=AGAIN
    )
