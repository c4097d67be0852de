"""Downloads: files below a folder that the user chose, under names that the service proposes.

Knows: never to leave the folder, never to overwrite, never to leave half a file under its name.
Does not know: which files are wanted.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from blake3 import blake3

from backend.cli.failure import Failure, Misused

if TYPE_CHECKING:
    from backend.cli.client import Client

_UNFIT: Final = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|]')
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LONGEST: Final = 150
_PREFIX: Final = "blake3:"


def folder(path: Path) -> Path:
    """The folder *path*, made if it is missing. Raises `Misused` if it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misused(f"the folder {path} cannot be made: {error.strerror}") from error
    return path


def safe_name(proposed: str) -> str:
    """A plain file name out of whatever a service proposes: no folders, no control characters."""
    name = _UNFIT.sub("_", proposed).strip(". ") or "output"
    stem, dot, suffix = name.rpartition(".")
    if len(name) > _LONGEST:
        name = (stem or name)[: _LONGEST - 20] + dot + suffix[:19]
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def save(client: Client, href: str, into: Path, proposed: str, reference: str | None) -> Path:
    """Download *href* into the folder *into*; return where it lies.

    A number is added to the name until it is free. With a *reference* the content is checked.
    Raises `Failure`.
    """
    digest = blake3()
    with _writing(into) as (file, temporary):

        def write(block: bytes) -> None:
            digest.update(block)
            file.write(block)

        client.download(href, write)
        file.flush()
        if reference is not None and reference != _PREFIX + digest.hexdigest():
            raise Failure(f"{proposed} arrived damaged", "Try again.")
        file.close()  # some systems rename no open file
        return _settle(temporary, into, safe_name(proposed))


@contextlib.contextmanager
def _writing(into: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new hidden file in the folder that is gone afterwards unless it was renamed."""
    try:
        number, name = tempfile.mkstemp(prefix=".kino-", suffix=".part", dir=into)
    except OSError as error:
        raise Failure(f"nothing can be written into {into}: {error.strerror}") from error
    try:
        with os.fdopen(number, "wb") as file:
            yield file, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _settle(temporary: Path, into: Path, name: str) -> Path:
    """Give a finished file the first free name; two commands at once never get the same."""
    stem, dot, suffix = name.rpartition(".")
    start, end = (stem, dot + suffix) if stem else (name, "")
    for number in itertools.count(1):
        path = into / (name if number == 1 else f"{start}_{number}{end}")
        try:
            path.open("xb").close()  # reserves the name, and follows no link
        except FileExistsError:
            continue
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror}") from error
        try:
            temporary.chmod(path.stat().st_mode)
            temporary.replace(path)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise Failure(f"{path} cannot be written: {error.strerror}") from error
        return path
    raise AssertionError("numbers do not end")


def outputs(result: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The files of a job's result by their flat names, in order."""
    found: dict[str, dict[str, Any]] = {}

    def walk(value: Any) -> None:
        if isinstance(value, dict) and "href" in value and "asset" in value:
            found[str(value["href"]).rpartition("/")[2]] = value
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(result or {})
    return found


def save_outputs(client: Client, job: dict[str, Any], into: Path) -> dict[str, str]:
    """Download all files of an ended job; ``{flat name: path}``."""
    place = folder(into)
    return {
        name: str(save(client, leaf["href"], place, leaf["file_name"], leaf.get("reference")))
        for name, leaf in outputs(job.get("result")).items()
    }
