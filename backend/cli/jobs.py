"""``kino jobs``: look at jobs, wait for them, cancel them, run them again.

Knows: the commands below ``jobs`` and their options.
Does not know: how a job is followed (``cli.following``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from backend.cli.command import Command
from backend.cli.options import DAY_S, AsJson, Output, Timeout, Url, client

if TYPE_CHECKING:
    from backend.cli.client import Client

commands = typer.Typer(help="Look at jobs, wait for them, cancel them.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, job_….")]


def _path(job: str) -> str:
    from backend.cli.client import segment

    return f"/v1/jobs/{segment(job)}"


@commands.command("list", cls=Command)
def list_jobs(
    context: typer.Context,
    state: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")
    ] = None,
    operation: Annotated[str | None, typer.Option(help="Only jobs of this operation.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only jobs of this batch.")] = None,
    metadata: Annotated[
        str | None, typer.Option(help="Only jobs with all pairs of this JSON object.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    from backend.cli import display
    from backend.cli.paging import pages

    asked = {"state": state, "operation": operation, "batch": batch, "metadata": metadata}
    items = pages(client(context, url), "/v1/jobs", limit, asked)
    if json:
        display.as_json(items)
        return
    rows = [
        (job["id"], job["operation"], job["state"], _percent(job["progress"]), job["created"])
        for job in items
    ]
    display.table(("job", "operation", "state", "progress", "created"), rows)


@commands.command(cls=Command)
def show(context: typer.Context, job: JobId, url: Url = None, json: AsJson = False) -> None:
    """Show a job: its state, parameters, result or error."""
    _show(client(context, url), job, json)


def _show(service: Client, job_id: str, json: bool) -> None:
    from backend.cli import display

    job: dict[str, Any] = service.get(_path(job_id))
    if json:
        display.as_json(job)
        return
    if job["cached"]:
        display.line(f"cached: the result is that of {job['leader']}")
    for name in ("id", "operation", "state", "attempt", "created", "started", "finished"):
        display.line(f"{name}: {'-' if job[name] is None else job[name]}")
    display.line(f"progress: {_percent(job['progress']) or '-'}")
    for name in ("waiting_for", "metadata", "params", "result", "error"):
        if job[name]:
            display.line(f"{name}:")
            display.as_json(job[name])


@commands.command(cls=Command)
def wait(
    context: typer.Context,
    job: JobId,
    output: Output = None,
    timeout: Timeout = DAY_S,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Wait for the end of a job; show its result, or download it with --output."""
    from backend.cli import operations, saving
    from backend.cli.following import follow
    from backend.cli.progress import Bar

    service = client(context, url)
    if output is not None:
        saving.folder(output)
    with Bar(not json) as bar:
        ended = follow(service, service.get(_path(job)), bar, timeout)
    operations.show_result(service, ended, output, json)


@commands.command(cls=Command)
def cancel(
    context: typer.Context,
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="The job's id, or options for many.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(help="All that are in this state: queued or running.")
    ] = None,
    operation: Annotated[str | None, typer.Option(help="All jobs of this operation.")] = None,
    batch: Annotated[str | None, typer.Option(help="All jobs of this batch.")] = None,
    metadata: Annotated[
        str | None, typer.Option(help="All jobs with all pairs of this JSON object.")
    ] = None,
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Cancel a job, or all that fit the options; those that run are interrupted."""
    from urllib.parse import urlencode

    from backend.cli import display

    asked = {"state": state, "operation": operation, "batch": batch, "metadata": metadata}
    given = {name: value for name, value in asked.items() if value is not None}
    if (job is None) != bool(given):
        raise typer.BadParameter("give either a job or options that say which")
    if job is not None:
        _change(client(context, url), job, "cancel", json)
        return
    told = client(context, url).ask("POST", f"/v1/jobs/cancel?{urlencode(given)}")
    if json:
        display.as_json(told)
    else:
        display.line(f"{told['cancelled']} cancelled, {told['stopping']} stopping")


@commands.command(cls=Command)
def retry(context: typer.Context, job: JobId, url: Url = None, json: AsJson = False) -> None:
    """Run a failed or cancelled job again."""
    _change(client(context, url), job, "retry", json)


@commands.command(cls=Command)
def priority(
    context: typer.Context,
    job: JobId,
    value: Annotated[
        int, typer.Argument(metavar="PRIORITY", min=-100, max=100, help="Higher runs first.")
    ],
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Let a job that waits go sooner or later: kino jobs priority JOB -- -5"""
    import json as jsons

    from backend.cli import display

    body = jsons.dumps({"priority": value}).encode()
    headers = {"Content-Type": "application/json"}
    changed = client(context, url).ask("PATCH", _path(job), body, headers=headers)
    if json:
        display.as_json(changed)
    else:
        display.line(f"{changed['id']}: {changed['state']}, priority {changed['priority']}")


def _change(service: Client, job_id: str, how: str, json: bool) -> None:
    from backend.cli import display

    job = service.ask("POST", f"{_path(job_id)}/{how}")
    if json:
        display.as_json(job)
    else:
        display.line(f"{job['id']}: {job['state']}")


@commands.command(cls=Command)
def events(
    context: typer.Context,
    job: JobId,
    after: Annotated[int, typer.Option(min=0, help="Only events after this number.")] = 0,
    url: Url = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on each line.")] = False,
) -> None:
    """Show the events of a job as they come, until its end."""
    import sys

    from backend.cli import display

    for event in client(context, url).events(f"{_path(job)}/events", after):
        if event is None:
            continue
        rest = {key: item for key, item in event.items() if key not in ("seq", "type", "time")}
        detail = display.short(rest) if rest else ""
        text = f"{event['seq']} {event['time']} {event['type']} {detail}".rstrip()
        display.line(display.short(event) if json else text)
        sys.stdout.flush()


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.0%}"
