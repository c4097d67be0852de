"""The commands of `kino`, and what happens when one of them fails.

Knows: which commands there are, their options and exit statuses.
Does not know: what a command does; each imports its work when it runs, so that help is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from backend.cli import assets, batches, jobs, models, queue, workflows
from backend.cli.command import Command
from backend.cli.options import DAY_S, AsJson, Output, Timeout, Url, client, settings

application = typer.Typer(
    name="kino",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
application.add_typer(jobs.commands, name="jobs")
application.add_typer(batches.commands, name="batches")
application.add_typer(queue.commands, name="queue")
application.add_typer(assets.commands, name="assets")
application.add_typer(models.commands, name="models")
application.add_typer(workflows.commands, name="workflows")


@application.callback()
def kino(url: Url = None) -> None:
    """Kino: a backend service for generative media.

    Exit status: 0 done, 1 a problem was answered, 2 wrong usage, 3 the service cannot be reached.
    """


@application.command(cls=Command)
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
    from backend import app

    given = {"host": host, "port": port, "data_dir": data_dir}
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if debug:
        overrides["log_level"] = "debug"
    raise typer.Exit(app.serve(settings(**overrides)))


@application.command("list", cls=Command)
def list_operations(context: typer.Context, url: Url = None, json: AsJson = False) -> None:
    """List the operations."""
    from backend.cli import operations

    operations.list_all(client(context, url), json)


@application.command("describe", cls=Command)
def describe_operation(
    context: typer.Context,
    operation: Annotated[str, typer.Argument(help="Its name, e.g. mixer.duck.")],
    url: Url = None,
    json: AsJson = False,
) -> None:
    """Show what an operation takes and gives."""
    from backend.cli.description import describe

    describe(client(context, url), operation, json)


@application.command(
    cls=Command,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def run(
    context: typer.Context,
    operation: Annotated[str | None, typer.Argument(help="Its name, e.g. mixer.duck.")] = None,
    params: Annotated[
        str | None, typer.Option(help="A JSON file with parameters; - is standard input.")
    ] = None,
    output: Output = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Print the job's id and do not wait.")
    ] = False,
    timeout: Timeout = DAY_S,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,VALUE", help="A job for each value; several give every combination."
        ),
    ] = None,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Higher runs first.")] = 0,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Work, even if an equal job's result is there.")
    ] = False,
    url: Url = None,
    json: AsJson = False,
    asked_for_help: Annotated[
        bool, typer.Option("--help", "-h", help="Show the parameters of the operation.")
    ] = False,
) -> None:
    """Run an operation: kino run mixer.duck --music=@music.wav --voice=@voice.wav --ratio=8

    Parameters are written --name=value; `kino describe OPERATION` lists them. @FILE uploads the
    file and passes its reference, also inside JSON:
    --mix='{"strips": [{"id": "drums", "source": "@drums.wav"}]}'. A text that begins with @ is
    written @@. Parameters that are called like an option stand after --.
    --sweep=seed=1,2,3 --sweep='prompt=a cat,a dog' makes six jobs, a batch.
    Ctrl-C cancels the job.
    """
    from backend.cli import description, operations
    from backend.cli.failure import Misused

    if operation is None:
        if not asked_for_help:
            raise Misused("an operation is needed", "See `kino list` and `kino run --help`.")
        typer.echo(context.get_help())
    elif asked_for_help:
        description.describe(client(context, url), operation, json)
    elif no_wait and output is not None:
        raise Misused(
            "--no-wait and --output exclude each other",
            "Fetch the files later: `kino jobs wait JOB --output DIR`.",
        )
    else:
        wanted = operations.Wanted(
            *(operation, context.args, params, output, not no_wait, timeout),
            *(sweep or (), priority, not no_cache),
        )
        operations.run(client(context, url), wanted, json)


@application.command(cls=Command)
def plugins(context: typer.Context, url: Url = None, json: AsJson = False) -> None:
    """List the plugins, and why some of them cannot be used."""
    from backend.cli import operations

    operations.list_plugins(client(context, url), json)


@application.command(cls=Command)
def doctor(context: typer.Context, url: Url = None, json: AsJson = False) -> None:
    """Look for what is missing, and say how to get it; the service may be down."""
    from backend.cli.doctor import examine

    raise typer.Exit(examine(client(context, url), settings(), json))
