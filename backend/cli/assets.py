"""``kino assets``: list, upload and download files.

Knows: the commands below ``assets`` and their options.
Does not know: how a file travels (``cli.client``, ``cli.saving``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.cli.command import Command
from backend.cli.options import AsJson, Url, client

commands = typer.Typer(help="List, upload and download files.", no_args_is_help=True)


@commands.command("list", cls=Command)
def list_assets(
    context: typer.Context,
    kind: Annotated[
        str | None, typer.Option(help="audio, image, mask, midi, automation, video or file.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """List assets, newest first."""
    from backend.cli import display
    from backend.cli.paging import pages

    items = pages(client(context, url), "/v1/assets", limit, {"kind": kind})
    if json:
        display.as_json(items)
        return
    rows = [
        (item["id"], item["kind"], display.size(item["size"]), item["file_name"], item["reference"])
        for item in items
    ]
    display.table(("asset", "kind", "size", "file name", "reference"), rows)


@commands.command(cls=Command)
def put(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files to upload.")],
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Upload files; print their references."""
    from backend.cli import display
    from backend.cli.progress import Bar

    service, stored = client(context, url), []
    with Bar(not json) as bar:
        for path in files:
            with bar.file(f"uploading {path.name}") as moved:
                asset = service.upload(path, moved)
            stored.append(asset)
            if not json:
                display.line(asset["reference"])
    if json:
        display.as_json(stored)


@commands.command(cls=Command)
def get(
    context: typer.Context,
    asset: Annotated[str, typer.Argument(help="The asset's id or reference.")],
    output: Annotated[Path, typer.Option(help="Folder to download into.")] = Path(),
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Download an asset under its file name; nothing is overwritten."""
    from backend.cli import display, saving
    from backend.cli.client import segment

    service = client(context, url)
    path = f"/v1/assets/{segment(asset)}"
    known = service.get(path)
    into = saving.folder(output)
    saved = saving.save(service, f"{path}/content", into, known["file_name"], known["reference"])
    if json:
        display.as_json({**known, "path": str(saved)})
    else:
        display.line(str(saved))
