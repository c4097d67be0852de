"""Where ``kino models`` looks: the service, or this shell's own folders if none answers.

Knows: both, behind the same four questions.
Does not know: how the answers are shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from backend.cli import display
from backend.cli.failure import Failure, Unreachable, from_problem
from backend.cli.options import client, settings
from backend.cli.paging import pages
from backend.errors import KinoError

if TYPE_CHECKING:
    import typer

    from backend.cli.client import Client, Moved
    from backend.services.model_folders import ModelFolders

HASH_WAIT_S: Final = 1.0
"""How often the progress of a hash is asked for."""


class Source(Protocol):
    """What can be asked. ``query`` is that of ``GET /v1/models``."""

    def all(self, limit: int, **query: str | None) -> list[dict[str, Any]]: ...
    def one(self, kind: str, name: str) -> dict[str, Any]: ...
    def hash(self, kind: str, name: str, moved: Moved) -> None: ...


@contextmanager
def source_of(context: typer.Context, url: str | None) -> Iterator[Source]:
    """The service if it answers; else the folders of these settings, with a line that says so.

    An address that was given by hand must answer.
    """
    service = client(context, url)
    try:
        service.get("/healthz")
    except Unreachable:
        if url or context.find_root().params.get("url"):
            raise
        display.note(f"No Kino answers at {service.url}: these are the folders of this shell.")
        yield _Local()
    else:
        yield _Service(service)


class _Service:
    def __init__(self, service: Client) -> None:
        self._service = service

    def all(self, limit: int, **query: str | None) -> list[dict[str, Any]]:
        return pages(self._service, "/v1/models", limit, query)

    def one(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._service.get(path_of(kind, name))
        return found

    def hash(self, kind: str, name: str, moved: Moved) -> None:
        path = f"{path_of(kind, name)}/hash"
        while True:
            state = self._service.ask("POST", path, query={"wait": HASH_WAIT_S})
            if state["state"] == "done":
                return
            if state["state"] == "failed":
                raise Failure(f"{name} could not be read: {state['reason']}")
            if state["state"] == "absent":
                raise Failure(f"somebody stopped reading {name}")
            moved(state["done_bytes"], state["total_bytes"])


class _Local:
    """The same without a service: files of the settings' folders, plugins and the catalogue."""

    def __init__(self) -> None:
        from backend.services.models import Models
        from backend.services.plugin_host import PluginHost

        here = settings()
        host = PluginHost("api", here, here.data_dir)
        host.load()
        files = list(host.models.values())
        self._models = Models(folders_of_settings(host), None, files)

    def all(self, limit: int, **query: str | None) -> list[dict[str, Any]]:
        from backend.services.model_listing import Question

        installed = {"true": True, "false": False}.get(query.get("installed") or "")
        asked = Question(
            text=query.get("q"),
            kind=query.get("kind"),
            architecture=query.get("architecture"),
            installed=installed,
            source=query.get("source"),
        )
        with _as_failures():
            return asyncio.run(self._models.search(asked, None, limit)).items

    def one(self, kind: str, name: str) -> dict[str, Any]:
        with _as_failures():
            return asyncio.run(self._models.get(kind, name))

    def hash(self, kind: str, name: str, moved: Moved) -> None:
        raise Failure("a hash is worked out by the service", "Start it with: kino serve")


def folders_of_settings(host: Any = None) -> ModelFolders:
    """The folders of this shell's settings, with the kinds of its plugins."""
    from backend.services.model_folders import ModelFolders, plugin_kinds
    from backend.services.plugin_host import PluginHost

    here = settings()
    if host is None:
        host = PluginHost("api", here, here.data_dir)
        host.load()
    folders = ModelFolders(here, plugin_kinds(host.models.values()))
    for trouble in folders.troubles():
        display.note(f"{trouble.setting}: {trouble.sentence} ({trouble.path}).")
    return folders


def path_of(kind: str, name: str) -> str:
    """The model's path below the service."""
    return f"/v1/models/{quote(kind, safe='')}/{quote(name)}"


@contextmanager
def _as_failures() -> Iterator[None]:
    try:
        yield
    except KinoError as error:
        raise from_problem(error.as_problem()) from error
