"""``kino queue``: whether jobs are begun, pause and resume.

Knows: the commands below ``queue``.
Does not know: jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from backend.cli.command import Command
from backend.cli.options import AsJson, Url, client

if TYPE_CHECKING:
    from backend.cli.client import Client

commands = typer.Typer(help="Pause and resume the queue.", no_args_is_help=True)


@commands.command(cls=Command)
def show(context: typer.Context, url: Url = None, json: AsJson = False) -> None:
    """Show whether the queue is paused, and how many jobs there are in each state."""
    service = client(context, url)
    _told(service.get("/v1/queue"), service, json)


@commands.command(cls=Command)
def pause(context: typer.Context, url: Url = None, json: AsJson = False) -> None:
    """Begin no more jobs; those that run go on."""
    service = client(context, url)
    _told(service.ask("POST", "/v1/queue/pause"), service, json)


@commands.command(cls=Command)
def resume(context: typer.Context, url: Url = None, json: AsJson = False) -> None:
    """Begin jobs again."""
    service = client(context, url)
    _told(service.ask("POST", "/v1/queue/resume"), service, json)


def _told(queue: dict[str, Any], service: Client, json: bool) -> None:
    from backend.cli import display

    if json:
        display.as_json(queue)
        return
    counts = service.get("/v1/system")["jobs"]
    state = f"paused since {queue['since']}" if queue["paused"] else "open"
    display.line(f"The queue is {state}; {counts['queued']} wait, {counts['running']} run.")
