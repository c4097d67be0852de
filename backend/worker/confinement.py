"""Confinement: what a child process gives up before it touches anything from outside.

Knows: resource limits (Linux has all of them, macOS most, Windows none).
Does not know: what the process does.
"""

from __future__ import annotations

import signal
import sys

if sys.platform != "win32":
    import resource


def limit_memory(address_space: int) -> None:
    """Cap the address space, in bytes; an allocation beyond raises ``MemoryError``."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def limit_files(size: int, count: int) -> None:
    """Cap the size of a written file (``OSError`` beyond) and the number of open ones; no core."""
    if sys.platform != "win32":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_processor(seconds: float) -> None:
    """From now on the process may use *seconds* of processor time before it is killed."""
    if sys.platform != "win32":
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
