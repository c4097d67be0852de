"""How every command ends when it fails.

Knows: failures, Ctrl-C and ``--json``.
Does not know: any command.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from backend.cli.failure import INTERRUPTED, Failure


class Command(TyperCommand):
    """A command whose `Failure` becomes a sentence on stderr (and, with ``--json``, the problem on
    stdout) and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Failure as failure:
            from backend.cli import display

            if ctx.params.get("json") and not failure.shown:
                display.as_json(failure.problem)
            display.note(f"kino: {failure}")
            raise typer.Exit(failure.status) from failure
        except KeyboardInterrupt as pressed:
            raise typer.Exit(INTERRUPTED) from pressed
