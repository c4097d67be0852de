"""``kino batches``: look at batches, wait for them, cancel them. ``kino run --sweep`` makes them.

Knows: the commands below ``batches`` and their options.
Does not know: how a batch is followed (``cli.following``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.command import Command
from backend.cli.options import DAY_S, AsJson, Output, Timeout, Url, client

if TYPE_CHECKING:
    from backend.cli.client import Client

commands = typer.Typer(help="Look at batches, wait for them, cancel them.", no_args_is_help=True)
BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id, bat_….")]


def _path(batch: str) -> str:
    from backend.cli.client import segment

    return f"/v1/batches/{segment(batch)}"


@commands.command("list", cls=Command)
def list_batches(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """List batches, newest first."""
    from backend.cli import display
    from backend.cli.paging import pages

    items = pages(client(context, url), "/v1/batches", limit, {})
    if json:
        display.as_json(items)
        return
    rows = [
        (item["id"], item["operation"], item["state"], f"{item['progress']:.0%}", item["count"])
        for item in items
    ]
    display.table(("batch", "operation", "state", "progress", "jobs"), rows)


@commands.command(cls=Command)
def show(context: typer.Context, batch: BatchId, url: Url = None, json: AsJson = False) -> None:
    """Show a batch and its jobs."""
    service = client(context, url)
    _show(service, service.get(_path(batch)), json)


@commands.command(cls=Command)
def wait(
    context: typer.Context,
    batch: BatchId,
    output: Output = None,
    timeout: Timeout = DAY_S,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Wait for the end of all jobs; show their results, or download them with --output."""
    from backend.cli import saving
    from backend.cli.following import follow
    from backend.cli.progress import Bar

    service = client(context, url)
    if output is not None:
        saving.folder(output)
    with Bar(not json) as bar:
        ended = follow(service, service.get(_path(batch)), bar, timeout)
    show_results(service, ended, output, json)


@commands.command(cls=Command)
def cancel(context: typer.Context, batch: BatchId, url: Url = None, json: AsJson = False) -> None:
    """Cancel all jobs of a batch that have not ended."""
    from backend.cli import display

    found = client(context, url).ask("POST", f"{_path(batch)}/cancel")
    if json:
        display.as_json(found)
    else:
        display.line(f"{found['id']}: {found['state']}")


def show_results(client: Client, batch: dict[str, Any], output: Path | None, json: bool) -> None:
    """Print an ended batch and its jobs; the files of each go to a folder of its own below
    *output*. Raises `Failure` if not all jobs succeeded."""
    from backend.cli import saving
    from backend.cli.failure import Failure

    files: dict[str, dict[str, str]] = {}
    if output is not None:
        for number, job in enumerate(_jobs(client, batch), 1):
            if job["state"] == "succeeded":
                folder = output / f"{number:03}"
                saving.folder(folder)
                files[job["id"]] = saving.save_outputs(client, job, folder)
    _show(client, batch, json, files)
    if batch["state"] != "succeeded":
        counts = batch["counts"]
        told = f"{counts['failed']} failed and {counts['cancelled']} were cancelled"
        failure = Failure(
            f"{batch['id']}: of {batch['count']} jobs {told}",
            f"See `kino jobs list --batch {batch['id']}`; try one again: `kino jobs retry JOB`.",
        )
        failure.shown = json
        raise failure


def _jobs(client: Client, batch: dict[str, Any]) -> list[dict[str, Any]]:
    """The jobs of a batch, oldest first."""
    from backend.cli.paging import pages

    found = pages(client, "/v1/jobs", batch["count"], {"batch": batch["id"]})
    return sorted(found, key=lambda job: str(job["id"]))


def _show(
    client: Client,
    batch: dict[str, Any],
    json: bool,
    files: dict[str, dict[str, str]] | None = None,
) -> None:
    from backend.cli import display

    jobs = _jobs(client, batch)
    if json:
        kept = [{**job, "files": (files or {}).get(job["id"], {})} for job in jobs]
        display.as_json({**batch, "jobs": kept})
        return
    first = jobs[0]["params"] if jobs else {}
    differ = [name for name in first if any(job["params"][name] != first[name] for job in jobs)]
    rows = [
        (job["id"], job["state"], *(display.short(job["params"][name])[:60] for name in differ))
        for job in jobs
    ]
    display.line(f"{batch['id']}: {batch['operation']}, {batch['state']}, {batch['progress']:.0%}")
    display.table(("job", "state", *differ), rows)
    for saved in (files or {}).values():
        for name, path in saved.items():
            display.line(f"{name}: {path}")
