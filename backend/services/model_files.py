"""Model files: which ones plugins want, which are there, and fetching one when told to.

Knows: the folder of models, HTTP downloads that go on where they stopped.
Does not know: what a model is for. Nothing here runs unless an operator asks for it.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from backend.errors import KinoError, OperationFailed, StorageFull, UpstreamFailed
from backend.hookspecs import ModelFile

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; 0 if the server does not say."""

_CHUNK: Final = 1 << 20
_TIMEOUT_S: Final = 60.0
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def path_of(model: ModelFile, models_dir: Path) -> Path:
    """Where the file belongs."""
    return models_dir / model.folder / model.file_name


def named(name: str, models: Iterable[ModelFile]) -> list[ModelFile]:
    """The file of this id, or all whose id begins with ``name/``: the files of one model."""
    return [model for model in models if model.id == name or model.id.startswith(f"{name}/")]


def download(model: ModelFile, models_dir: Path, progress: Progress) -> Path:
    """Fetch the file to its place, where it appears whole or not at all; what an earlier call left
    unfinished is gone on with.

    Raises `UpstreamFailed` if the source does not answer or gives less than it says,
    `OperationFailed` if the content is not what the plugin expects, `StorageFull`.
    """
    target = path_of(model, models_dir)
    if target.is_file():
        return target
    if urlsplit(model.source).scheme not in ("https", "http"):
        raise OperationFailed(
            f"{model.id} is not fetched from a web address: {model.source}",
            remedy=f"Get it there and put it at {target}.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    try:
        _fetch(model, partial, progress)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise _unanswered(model, error) from error
    except OSError as error:
        raise _unkept(model, error) from error
    _check(model, partial)
    partial.replace(target)
    return target


def _fetch(model: ModelFile, partial: Path, progress: Progress) -> None:
    """Append to *partial* until it is whole. Raises ``OSError`` and what urllib does."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(model.source, headers={"User-Agent": "kino"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        error.close()
        partial.unlink()  # it was longer than what the source has now
        _fetch(model, partial, progress)
        return
    with answer:
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with partial.open("ab" if goes_on else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress(have, total or 0)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise http.client.IncompleteRead(b"", total - have)


def _check(model: ModelFile, partial: Path) -> None:
    if not model.sha256:
        return
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != model.sha256:
        partial.unlink()
        raise OperationFailed(
            f"{model.file_name} has the SHA-256 {digest[:16]}…, not {model.sha256[:16]}…",
            remedy="The source may have changed; ask the plugin's author.",
        )


def _unanswered(model: ModelFile, error: Exception) -> KinoError:
    if isinstance(error, urllib.error.HTTPError):
        said = f"{error.code} {error.reason}"
        error.close()
    elif isinstance(error, urllib.error.URLError):
        said = str(error.reason)
    else:
        said = "no answer" if isinstance(error, TimeoutError) else "the connection ended too early"
    return UpstreamFailed(
        f"{model.file_name} could not be fetched from {model.source}: {said}",
        remedy="Check the network and run the same command again: it goes on from there.",
    )


def _unkept(model: ModelFile, error: OSError) -> KinoError:
    if error.errno in _FULL:
        return StorageFull("the disk is full", remedy="Free some space and run it again.")
    return UpstreamFailed(
        f"{model.file_name} could not be fetched: {error.strerror or error}",
        remedy="Run the same command again: it goes on from there.",
    )
