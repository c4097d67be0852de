"""What ``kino models download`` does: find out what is meant, fetch it, and look whether it counts.

Knows: that the command line fetches, and never the service (decision 0016).
Does not know: HTTP's ranges and checksums (``services.model_download``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli import display
from backend.cli.failure import Failure, Misused, Unreachable, from_problem
from backend.cli.model_source import folders_of_settings, path_of, source_of
from backend.cli.options import client, settings
from backend.cli.progress import Bar
from backend.errors import InvalidParameters, KinoError, UnknownName
from backend.services import model_files
from backend.services.model_download import download

if TYPE_CHECKING:
    import typer

    from backend.services.model_files import Wish
    from backend.services.model_folders import ModelFolders


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    model: str
    kind: str | None
    name: str | None
    sha256: str | None


def fetch(context: typer.Context, url: str | None, asked: Asked, json: bool) -> None:
    """Fetch every file that is meant. Raises `Failure`."""
    from backend.services.plugin_host import PluginHost

    here = settings()
    host = PluginHost("api", here, here.data_dir)
    host.load()
    folders = folders_of_settings(host)
    try:
        wishes = _wishes(context, url, asked, folders, list(host.models.values()))
    except (InvalidParameters, UnknownName) as error:
        raise Misused(error.detail, error.remedy) from error
    fetched = []
    with Bar(not json) as bar:
        for wish in wishes:
            path = _fetch_one(wish, folders, bar)
            fetched.append({"id": wish.id, "kind": wish.kind, "name": wish.name, "path": str(path)})
            if not json:
                display.line(str(path))
    if json:
        display.as_json(fetched)
    for wish in wishes:
        _look_whether_it_counts(context, url, wish)


def _wishes(
    context: typer.Context,
    url: str | None,
    asked: Asked,
    folders: ModelFolders,
    wanted: list[Any],
) -> list[Wish]:
    chosen = [model_files.wish_of(model) for model in model_files.named(asked.model, wanted)]
    if model_files.is_address(asked.model):
        if asked.kind is None:
            raise Misused("an address needs --kind", f"Kinds are {', '.join(folders.kinds)}.")
        chosen = [model_files.from_address(asked.model, asked.kind, folders.kinds, asked.name)]
    elif not chosen:
        with source_of(context, url) as source:
            words = asked.model.rpartition("/")[2]
            items = source.all(200, q=words, installed="false", kind=asked.kind)
            items += source.all(200, q=words, installed="true", kind=asked.kind)
        chosen = [model_files.from_list(asked.model, items, folders.kinds)]
    if asked.sha256 is None:
        return chosen
    if len(chosen) != 1:
        raise Misused(f"{asked.model} is several files, and --sha256 is of one")
    return [replace(chosen[0], sha256=model_files.digest(asked.sha256))]


def _fetch_one(wish: Wish, folders: ModelFolders, bar: Bar) -> Path:
    """The file; one that is in another of the folders already is not fetched again."""
    present = folders.find(wish.kind, wish.name)
    target = present.path if present is not None else wish.target(folders)
    with bar.file(f"downloading {wish.name}") as moved:
        try:
            return download(wish.url, target, moved, wish.sha256)
        except KinoError as error:
            raise from_problem(error.as_problem()) from error


def _look_whether_it_counts(context: typer.Context, url: str | None, wish: Wish) -> None:
    """Say so if a service runs that looks elsewhere: then its settings are not this shell's."""
    service = client(context, url)
    try:
        counts = service.get(path_of(wish.kind, wish.name))["installed"]
    except Unreachable:
        return
    except Failure:
        counts = False
    if not counts:
        display.note(
            f"The service at {service.url} does not see {wish.name}: it has other settings than"
            " this shell (KINO_DATA_DIR, KINO_COMFYUI__MODELS_DIR)."
        )
