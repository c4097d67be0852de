"""Entry of a worker process: ``python -P -m backend.worker <channel> <parent's pid>``.

Knows: how to join the parent and that the worker dies with it.
Does not know: what the worker does (``worker.process``).
"""

from __future__ import annotations

import os
import sys

from backend.services import channel
from backend.worker import parent
from backend.worker.outbox import Outbox
from backend.worker.process import Process


def main() -> None:
    """Join the parent, serve it until it says stop or is gone."""
    argument, parent_pid = sys.argv[1:3]
    parent.die_with(int(parent_pid))
    Process(Outbox(channel.join(argument))).serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # libraries' threads and exit handlers must not keep an expendable process


if __name__ == "__main__":
    main()
