"""``kino models``: list, search, look at and download model files.

Knows: the commands below ``models`` and their options. They ask the service; where none answers,
they look at the folders of this shell's settings, and say so.
Does not know: how a file is fetched (``cli.fetching``) or what is in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from backend.cli.command import Command
from backend.cli.options import AsJson, Url, client

if TYPE_CHECKING:
    from collections.abc import Sequence

commands = typer.Typer(help="List, search and download model files.", no_args_is_help=True)

ENOUGH: Final = 10_000
Kind = Annotated[str | None, typer.Option(help="Only this kind: checkpoints, loras …")]
Limit = Annotated[int, typer.Option(min=1, max=ENOUGH, help="Most lines.")]


@commands.command("list", cls=Command)
def list_models(
    context: typer.Context,
    kind: Kind = None,
    limit: Limit = ENOUGH,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """List the model files that are here, and those that plugins and workflows still want."""
    from backend.cli.model_source import source_of

    with source_of(context, url) as source:
        found = source.all(limit, kind=kind, installed="true")
        for who in ("plugin", "workflow"):
            found += source.all(limit, kind=kind, source=who)
    _show(found[:limit], json)


@commands.command(cls=Command)
def search(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(help="Parts of its name.")] = None,
    kind: Kind = None,
    architecture: Annotated[
        str | None, typer.Option(help="Only files that are here, and of this: sdxl, flux-dev …")
    ] = None,
    installed: Annotated[
        bool | None, typer.Option("--installed/--missing", help="Only files that are (not) here.")
    ] = None,
    limit: Limit = 50,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Search the files that are here and the catalogue of ComfyUI's official templates."""
    from backend.cli.model_source import source_of

    here = None if installed is None else str(installed).lower()
    text = " ".join(words or []) or None
    with source_of(context, url) as source:
        found = source.all(limit, q=text, kind=kind, architecture=architecture, installed=here)
    _show(found, json)


@commands.command(cls=Command)
def show(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Its kind and name: checkpoints/a.safetensors")],
    hash: Annotated[  # noqa: A002 - the option's name
        bool, typer.Option("--hash", help="Work out its SHA-256; this reads the whole file.")
    ] = False,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Show all that is known of one model file."""
    from backend.cli import display
    from backend.cli.failure import Misused
    from backend.cli.model_source import source_of
    from backend.cli.progress import Bar

    kind, slash, name = model.partition("/")
    if not slash or not name:
        raise Misused(f"{model!r} has no kind", "Write it like checkpoints/a.safetensors.")
    with source_of(context, url) as source:
        if hash:
            with Bar(not json) as bar, bar.file(f"reading {name}") as moved:
                source.hash(kind, name, moved)
        item = source.one(kind, name)
    if json:
        display.as_json(item)
        return
    hidden = ("links", "hash", "refused")
    rows = [(key, _cell(value)) for key, value in item.items() if key not in hidden and value]
    if item.get("refused"):
        rows.append(("refused", f"{item['refused']['reason']}. {item['refused']['remedy']}"))
    display.table(("what", "value"), rows)


@commands.command(cls=Command)
def missing(
    context: typer.Context,
    workflow: Annotated[str | None, typer.Option(help="Only for this stored workflow.")] = None,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """List the files that plugins and stored workflows want and that are not here."""
    from backend.cli.client import segment
    from backend.cli.model_source import source_of

    if workflow is not None:
        stored = client(context, url).get(f"/v1/workflows/{segment(workflow)}")
        _show([{**item, "installed": False} for item in stored["missing_models"]], json)
        return
    with source_of(context, url) as source:
        found = [item for who in ("plugin", "workflow") for item in source.all(ENOUGH, source=who)]
    _show(found, json)


@commands.command(cls=Command)
def download(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(help="A name of the catalogue or of a plugin, an address, or hf:ORG/REPO/…"),
    ],
    kind: Annotated[
        str | None, typer.Option(help="What it is, for an address: checkpoints, loras …")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call it; by default as there.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Refuse other content than this.")] = None,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Download a model into the first folder of models of this shell's settings.

    `kino models download hf:OWNER/REPOSITORY/PATH@REVISION --kind loras`. What was interrupted goes
    on where it stopped. No job ever does this.
    """
    from backend.cli import fetching

    asked = fetching.Asked(model, kind, name, sha256)
    fetching.fetch(context, url, asked, json)


def _show(items: Sequence[dict[str, Any]], json: bool) -> None:
    from backend.cli import display

    if json:
        display.as_json(list(items))
        return
    rows = []
    for item in items:
        state = "here" if item["installed"] else "missing"
        state = "refused" if item.get("refused") else state
        what = " ".join(str(item[key]) for key in ("architecture", "variant") if item.get(key))
        size = display.size(item["size"]) if item.get("size") is not None else ""
        where = item["url"] if not item["installed"] else ""
        rows.append((item["kind"] or "?", item["name"], state, what, size, where or ""))
    display.table(("kind", "model", "state", "architecture", "size", "source"), rows)


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
