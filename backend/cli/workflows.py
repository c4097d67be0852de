"""``kino workflows``: store, look at, check and fetch workflows.

Knows: the commands below ``workflows`` and their options. `kino run workflow.NAME` runs one.
Does not know: what a workflow is (the service and its ComfyUI do).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from backend.cli.command import Command
from backend.cli.options import AsJson, Url, client

if TYPE_CHECKING:
    from collections.abc import Mapping

commands = typer.Typer(help="Store, check and fetch workflows.", no_args_is_help=True)

DESCRIBE: Final = "workflows.describe"
DESCRIBING_S: Final = 180.0
"""Longest wait for a document to be described, as ComfyUI may still be loading."""

Name = Annotated[str, typer.Argument(help="The workflow's name.")]
Bypass = Annotated[
    bool,
    typer.Option("--bypass-missing", help="Pass by nodes whose type is not installed."),
]
File = Annotated[Path, typer.Argument(help="A workflow as the editor saves or exports it.")]


@commands.command("list", cls=Command)
def list_workflows(context: typer.Context, url: Url = None, json: AsJson = False) -> None:
    """List the stored workflows."""
    from backend.cli import display

    items = client(context, url).get("/v1/workflows")["items"]
    if json:
        display.as_json(items)
        return
    rows = [
        (item["name"], str(item["version"]), item["format"], item["operation"]) for item in items
    ]
    display.table(("workflow", "version", "format", "operation"), rows)


@commands.command("import", cls=Command)
def import_workflow(
    context: typer.Context,
    file: File,
    name: Annotated[
        str | None, typer.Option(help="Its name; by default the file's, made fit.")
    ] = None,
    bypass_missing: Bypass = False,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Store a workflow; it is then an operation."""
    from backend.cli import display
    from backend.cli.client import segment

    chosen = name or re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    stored = client(context, url).ask(
        "PUT",
        f"/v1/workflows/{segment(chosen)}",
        _read(file),
        query={"bypass_missing": "true"} if bypass_missing else None,
        headers={"Content-Type": "application/json"},
        seconds=DESCRIBING_S,
    )
    if json:
        display.as_json(stored)
        return
    display.line(f"{stored['name']}, version {stored['version']}")
    _show(stored["parameters"], stored["warnings"])
    display.line(f"\nRun it: kino run {stored['operation']}")


@commands.command(cls=Command)
def export(
    context: typer.Context,
    name: Name,
    version: Annotated[int | None, typer.Option(min=1, help="An older version.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write this file, which must not exist.")
    ] = None,
    url: Url = None,
) -> None:
    """Give a workflow back as it was stored, byte for byte."""
    from backend.cli.client import segment
    from backend.cli.failure import Misused

    target = f"/v1/workflows/{segment(name)}/original"
    target += f"?version={version}" if version else ""
    content = bytearray()
    client(context, url).download(target, content.extend)
    if output is None:
        typer.echo(bytes(content), nl=False)
        return
    try:
        with output.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise Misused(f"{output} cannot be written: {error.strerror}") from error


@commands.command(cls=Command)
def validate(
    context: typer.Context,
    file: File,
    bypass_missing: Bypass = False,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Check a workflow against the service's ComfyUI, and show the parameters that it would have.
    Nothing is stored."""
    from backend.cli import display, following
    from backend.cli.progress import Bar

    service, document = client(context, url), _document(file)
    with Bar(not json) as bar:
        job = following.submit_and_follow(
            service,
            f"/v1/operations/{DESCRIBE}",
            {"workflow": document, "bypass_missing": bypass_missing},
            bar,
            DESCRIBING_S,
        )
    following.require_success(job, shown=False)
    found = job["result"]
    if json:
        display.as_json(found)
        return
    _show(found["parameters"], found["warnings"])


@commands.command(cls=Command)
def delete(context: typer.Context, name: Name, url: Url = None) -> None:
    """Delete a workflow; its jobs go on."""
    from backend.cli.client import segment

    client(context, url).ask("DELETE", f"/v1/workflows/{segment(name)}")


def _document(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises `Misused`."""
    from backend.cli.failure import Misused
    from backend.errors import MalformedRequest
    from backend.operations import read_json

    try:
        value = read_json(_read(file))
    except MalformedRequest as error:
        raise Misused(f"{file}: {error.detail}") from error
    if not isinstance(value, dict):
        raise Misused("a workflow is a JSON object")
    return value


def _read(file: Path) -> bytes:
    from backend.cli.failure import Misused

    try:
        return file.read_bytes()
    except OSError as error:
        raise Misused(f"{file} cannot be read: {error.strerror}") from error


def _show(parameters: list[Mapping[str, Any]], warnings: list[str]) -> None:
    from backend.cli import display
    from backend.cli.parameters import option

    rows = []
    for each in parameters:
        limits = [str(each[key]) if key in each else "" for key in ("minimum", "maximum")]
        rule = "…".join(limits) if any(limits) else ""
        if each["type"] == "choice":
            rule = f"one of {len(each['choices'])}"
        takes = f"@FILE ({each['media']})" if each["type"] == "asset" else each["type"]
        default = display.short(each["default"]) if "default" in each else "(needed)"
        rows.append((option(each["name"]), takes, default, rule))
    display.table(("parameter", "takes", "default", "rule"), rows)
    for warning in warnings:
        display.line(f"Note: {warning}")
