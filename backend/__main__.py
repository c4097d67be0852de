"""The `kino` command: where a process of ours begins.

Knows: which function the console script and ``python -m backend`` call.
Does not know: any command (``backend.cli`` holds them).
"""

from __future__ import annotations

import io
import sys

from backend.cli.application import application


def main() -> None:
    """Run the command line; leaves by ``SystemExit`` with the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot write "≥" shows "?"
    application(prog_name="kino")


if __name__ == "__main__":
    main()
