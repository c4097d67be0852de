"""The commands of `kino`, and what they say when something is wrong.

Knows: which commands there are and their exit statuses.
Does not know: what a command does; each imports its work when it runs, so that help is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

application = typer.Typer(
    name="kino",
    help="Kino: a backend service for generative media.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@application.callback()
def _root() -> None:
    """Kino: a backend service for generative media."""


@application.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the ledger and the assets.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything.")] = False,
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    from backend import app, config

    given = {"host": host, "port": port, "data_dir": data_dir}
    overrides = {name: value for name, value in given.items() if value is not None}
    if debug:
        overrides["log_level"] = "debug"
    raise typer.Exit(app.serve(config.load(**overrides)))
