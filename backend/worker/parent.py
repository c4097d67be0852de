"""The bond to the parent process: a worker must never outlive the service.

Knows: Linux's parent-death signal.
Does not know: the connection; its end is the second, portable sign (``worker.process``).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with(parent_pid: int) -> None:
    """Be killed when the parent dies. Elsewhere than on Linux only the connection's end tells."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "the parent-death signal cannot be set")
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(1)
