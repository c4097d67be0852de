"""The data folder: one service at a time may use it.

Knows: an advisory lock on ``kino.lock``, which the system drops when the process dies.
Does not know: what lies in the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backend.errors import Conflict, StorageFull

LOCK: Final = "kino.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder (made if absent) for this process.

    Raises `Conflict` at once if another process holds it, `StorageFull` if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageFull(
            f"the data folder cannot be written: {error.strerror}",
            remedy="Choose another with KINO_DATA_DIR.",
        ) from error
    try:
        if not take(file):
            os.lseek(file, 0, os.SEEK_SET)  # not pread: Windows has none
            holder = os.read(file, 20).decode("ascii", "replace").strip() or "unknown"
            raise Conflict(
                f"another Kino (process {holder}) already uses this data folder",
                remedy="Stop it, or choose another folder with KINO_DATA_DIR.",
            )
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(file)


try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    def take(file: int) -> bool:
        """Lock an open file for as long as it is open; False if another process has it.

        It is one byte far behind the number, so that the number can be read by others.
        """
        os.lseek(file, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
else:

    def take(file: int) -> bool:
        """Lock an open file for as long as it is open; False if another process has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
