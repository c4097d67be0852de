"""Model files to be had: how they are named on the command line, and where each belongs.

Knows: ids of plugins, names of the catalogue, web addresses, and ``hf:org/repo/path@revision``.
Does not know: how a file is fetched (``services.model_download``). Nothing here runs unless an
operator asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from backend.errors import UnknownName, did_you_mean, refused
from backend.hookspecs import ModelFile
from backend.services.model_details import CONVERT, may_run_code
from backend.services.model_folders import ModelFolders, is_plain, kind_and_name
from backend.services.model_wants import file_url, web_parts

HUGGING_FACE: Final = "https://huggingface.co"
_REFERENCE: Final = re.compile(r"hf:([\w.-]+)/([\w.-]+)/([^@]+?)(?:@([\w./-]+))?")
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Wish:
    """One file to fetch. ``name`` may lead into folders; ``sha256`` is empty if nobody knows it."""

    id: str
    kind: str
    name: str
    url: str
    sha256: str = ""

    def target(self, folders: ModelFolders) -> Path:
        """Where it belongs: below the first root."""
        return folders.download_root / self.kind / self.name


def named(name: str, models: Iterable[ModelFile]) -> list[ModelFile]:
    """The file of this id, or all whose id begins with ``name/``: the files of one model."""
    return [model for model in models if model.id == name or model.id.startswith(f"{name}/")]


def wish_of(model: ModelFile) -> Wish:
    """A file that a plugin wants."""
    kind, name = kind_and_name(model)
    return Wish(model.id, kind, name, model.source, model.sha256)


def from_address(text: str, kind: str, kinds: Sequence[str], name: str | None = None) -> Wish:
    """A web address or ``hf:org/repo/path@revision`` as a file of *kind*, called as it is there.

    Raises `InvalidParameters` for what is neither, for a kind that is not among *kinds*, for a name
    that leads elsewhere, and for formats that may hold code.
    """
    url = _address(text)
    _refuse_kind(kind, kinds)
    called = name or PurePosixPath(unquote(urlsplit(url).path)).name
    _refuse_name(kind, called)
    return Wish(text, kind, called, url)


def _refuse_kind(kind: str, kinds: Sequence[str]) -> None:
    if kind not in kinds:
        near = did_you_mean(kind, kinds) or f"; kinds are {', '.join(kinds)}"
        raise refused("/kind", "kind", f"{kind!r} is no kind of model{near}")


def _refuse_name(kind: str, name: str) -> None:
    """Names in the list may come from anybody's workflow, so they are held against the same rules
    as those of the command line."""
    if not is_plain(name):
        raise refused("/name", "name", f"{name!r} cannot be the name of a file")
    if may_run_code(kind, name):
        told = f"{name} may hold code that runs while it is loaded, so Kino does not load it"
        raise refused("/name", "pickle", f"{told}. {CONVERT}")


def is_address(text: str) -> bool:
    """Whether a text is meant as an address, rather than as a name."""
    return text.startswith("hf:") or "://" in text


def _address(text: str) -> str:
    if text.startswith("hf:"):
        found = _REFERENCE.fullmatch(text)
        if found is None or not is_plain(found[3]):
            told = "a file at Hugging Face is written hf:OWNER/REPOSITORY/PATH or …@REVISION"
            raise refused("/model", "address", told)
        owner, repository, path, revision = found.groups()
        return (
            f"{HUGGING_FACE}/{owner}/{repository}/resolve/"
            f"{quote(revision or 'main', safe='')}/{quote(path)}"
        )
    parts = web_parts(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise refused("/model", "address", f"{text!r} is no web address")
    return file_url(text)


def from_list(text: str, items: Iterable[Mapping[str, Any]], kinds: Sequence[str]) -> Wish:
    """The entry of the list of models that *text* names: a name, or a kind and a name.

    Raises `UnknownName`, also for one that nobody says where to get, and `InvalidParameters` where
    several have the name, and as `from_address` does for kinds and names.
    """
    found = [
        item
        for item in items
        if text in (item["name"], f"{item['kind']}/{item['name']}") and item["kind"]
    ]
    if not found:
        remedy = "Search it: `kino models search WORDS`. Or give its address and --kind."
        raise UnknownName(f"nobody says where the model {text!r} is published", remedy=remedy)
    if len(found) > 1:
        places = " or ".join(f"{item['kind']}/{item['name']}" for item in found)
        raise refused("/model", "ambiguous", f"there are several: say {places}")
    item = found[0]
    if item["url"] is None:
        wanted = ", ".join(item["wanted_by"]) or "nobody"
        raise UnknownName(
            f"nobody says where the model {text!r} is published (it is wanted by {wanted})",
            remedy=f"Find it, then: kino models download ADDRESS --kind {item['kind']}",
        )
    _refuse_kind(item["kind"], kinds)
    _refuse_name(item["kind"], item["name"])
    return Wish(text, item["kind"], item["name"], item["url"], item["sha256"] or "")


def digest(text: str) -> str:
    """A SHA-256 that somebody wrote, in small letters. Raises `InvalidParameters`."""
    plain = text.removeprefix("sha256:")
    if not _DIGEST.fullmatch(plain):
        raise refused("/sha256", "sha256", "a SHA-256 has 64 hex digits")
    return plain.lower()
