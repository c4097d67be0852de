"""``kino models``: list and download the model files that plugins want.

Knows: the commands below ``models`` and their options. They work without a running service.
Does not know: how a file is fetched (``services.model_files``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.command import Command
from backend.cli.options import AsJson, settings

if TYPE_CHECKING:
    from backend.hookspecs import ModelFile

commands = typer.Typer(help="List and download model files.", no_args_is_help=True)


@commands.command("list", cls=Command)
def list_models(json: AsJson = False) -> None:
    """List the model files that plugins want, and which of them are here."""
    from backend.cli import display
    from backend.services.model_files import path_of

    folder, wanted = _wanted()
    items = [
        {
            "id": model.id,
            "path": str(path_of(model, folder)),
            "present": path_of(model, folder).is_file(),
            "licence": model.licence,
            "source": model.source,
        }
        for model in wanted
    ]
    if json:
        display.as_json(items)
        return
    rows = [
        (item["id"], "here" if item["present"] else "missing", item["licence"], item["source"])
        for item in items
    ]
    display.table(("model", "state", "licence", "source"), rows)
    display.line(f"Files belong below {folder}.")


@commands.command(cls=Command)
def download(
    model: Annotated[str, typer.Argument(help="Its id, or the name that several ids begin with.")],
    json: AsJson = False,
) -> None:
    """Download a model from its source; an interrupted download goes on where it stopped."""
    from backend.cli import display
    from backend.cli.failure import Misused, from_problem
    from backend.cli.progress import Bar
    from backend.errors import KinoError
    from backend.services.model_files import download as fetch
    from backend.services.model_files import named

    folder, wanted = _wanted()
    chosen = named(model, wanted)
    if not chosen:
        names = ", ".join(sorted({each.id.partition("/")[0] for each in wanted})) or "none"
        raise Misused(f"no plugin wants a model called {model!r}", f"Known are: {names}.")
    fetched = []
    with Bar(not json) as bar:
        for each in chosen:
            with bar.file(f"downloading {each.file_name}") as moved:
                try:
                    path = fetch(each, folder, moved)
                except KinoError as error:
                    raise from_problem(error.as_problem()) from error
            fetched.append({"id": each.id, "path": str(path)})
            if not json:
                display.line(str(path))
    if json:
        display.as_json(fetched)


def _wanted() -> tuple[Path, list[ModelFile]]:
    """The folder of models, and the files that all plugins want."""
    from backend.services.plugin_host import PluginHost

    here = settings()
    host = PluginHost("api", here, here.data_dir)
    host.load()
    return here.models_dir, list(host.models.values())
