"""One line of the list of models, and which lines are asked for.

Knows: filters, order, cursors, and how a line reads as JSON.
Does not know: where files and wishes come from (``services.models``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from backend.errors import InvalidParameters, refused
from backend.services.model_details import details
from backend.services.model_folders import Found
from backend.services.model_wants import Wanted

Place = tuple[bool, str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """What of all models is asked for; None is anything."""

    text: str | None = None
    kind: str | None = None
    architecture: str | None = None
    installed: bool | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is here, or the wish for one that is not; *wanted* may tell more of a file."""

    kind: str | None
    name: str
    found: Found | None
    wanted: Wanted | None

    @property
    def place(self) -> Place:
        """Files that are here come first, then by kind and name."""
        return self.found is None, self.kind or "", self.name

    @property
    def source(self) -> str:
        """``file``, or who wants it first: ``plugin``, ``workflow``, ``catalogue``."""
        return "file" if self.found is not None or self.wanted is None else self.wanted.source

    def fits(self, asked: Question) -> bool:
        """Whether it is asked for, as far as this is known without reading the file."""
        if asked.installed is not None and asked.installed != (self.found is not None):
            return False
        if asked.architecture is not None and self.found is None:
            return False  # only a file's own header tells
        if asked.kind not in (None, self.kind) or asked.source not in (None, self.source):
            return False
        who = self.wanted.by if self.wanted is not None else ()
        text = " ".join((self.name, *who)).lower()
        return all(word in text for word in (asked.text or "").lower().split())

    def present(self) -> dict[str, Any]:
        """All that is told of it, but for its hash. Reads the header of a file that is here."""
        here: dict[str, Any] = {"installed": False, "architecture": None}
        if self.found is not None:
            try:
                here = details(self.found)
            except OSError as error:
                why = error.strerror or "it cannot be read"
                remedy = "Check the disk, and who may read the file."
                broken = {"rule": "unreadable_model", "reason": why, "remedy": remedy}
                here = {"installed": True, "architecture": None, "refused": broken}
        told = {"kind": self.kind, "name": self.name, "source": self.source}
        links = (
            {"self": f"/v1/models/{_quoted(self.kind)}/{_quoted(self.name)}"} if self.kind else {}
        )
        return {**as_json(self.wanted), **here, **told, "links": links}


def _quoted(part: str) -> str:
    return quote(part, errors="surrogateescape")


def as_json(wanted: Wanted | None) -> dict[str, Any]:
    """Where a file is to be had, and who wants it."""
    wanted = wanted or Wanted(None, "", "file")
    return {
        "kind": wanted.kind,
        "name": wanted.name,
        "source": wanted.source,
        "url": wanted.url,
        "sha256": wanted.sha256,
        "licence": wanted.licence,
        "page": wanted.page,
        "wanted_by": list(wanted.by),
    }


def chosen(
    entries: Iterable[Entry], asked: Question, after: Place | None, limit: int
) -> list[tuple[Entry, dict[str, Any]]]:
    """Up to *limit* entries that are asked for, behind *after*, each with its JSON."""
    wanted = [entry for entry in entries if entry.fits(asked)]
    found: list[tuple[Entry, dict[str, Any]]] = []
    for entry in sorted(wanted, key=lambda each: each.place):
        if after is not None and entry.place <= after:
            continue
        item = entry.present()
        if asked.architecture in (None, item["architecture"]):
            found.append((entry, item))
        if len(found) == limit:
            break
    return found


def write_cursor(entry: Entry) -> str:
    """The cursor of the page that begins behind *entry*."""
    text = json.dumps(entry.place, ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogateescape")).decode()


def read_cursor(cursor: str) -> Place:
    """Behind which place the page begins. Raises `InvalidParameters` for a cursor of no page."""
    try:
        text = base64.b64decode(cursor.encode(), b"-_", validate=True)
        missing, kind, name = json.loads(text.decode("utf-8", "surrogateescape"))
    except (ValueError, TypeError, RecursionError) as error:
        raise _no_cursor() from error
    if not (isinstance(missing, bool) and isinstance(kind, str) and isinstance(name, str)):
        raise _no_cursor()
    return missing, kind, name


def _no_cursor() -> InvalidParameters:
    return refused("/query/cursor", "cursor", "a cursor is the next_cursor of a page")
